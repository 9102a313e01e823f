"""`micrograd-fast run --swap-value`: a Value that a program defines itself, replaced by ours.

`own_class` reads the class in the syntax tree, `surroundings` finds what it needs to run alone,
`agreement` compares it with ours, `own_calls` fits the program's calls to our constructor,
`replace` puts it all together; `side_by_side` runs a program both ways.
"""
