"""`micrograd-fast run --swap-value`: a Value that a program defines itself, replaced by ours.

`own_class` reads the class in the syntax tree, `surroundings` finds what it needs to run alone,
`agreement` compares it with ours within the time of `limits`, `own_calls` fits the program's calls
to our constructor, `replace` puts it all together; `side_by_side` runs a program both ways.

What is compared: `operators`, `named_methods`, `histories` of backward(), `looked_at` attributes,
`extremes`; an expression on `both`.
"""
