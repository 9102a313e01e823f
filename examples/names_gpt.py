# %% [markdown]
# # A GPT that invents names
#
# One transformer block of 16 dimensions and 4 heads, written out in scalars, learns from 5,000
# American first names (the PyPI package `names`). First eagerly, as micrograd would run it; then
# compiled, in less than twenty changed lines.
#
# Needs `pip install 'micrograd-fast[examples]'`.

# %% tags=["parameters"]
EAGER_STEPS = 300
COMPILED_STEPS = 15_000

# %%
import random
from time import perf_counter

import names
import numpy as np
from tqdm.auto import tqdm

import micrograd_fast as mg
from micrograd_fast import Value, functional, optim

random.seed(42)
found = set()
for sex in ("male", "female"):
    with open(names.FILES[f"first:{sex}"]) as lines:
        found |= {line.split()[0].lower() for line in lines}
documents = sorted(found)
random.shuffle(documents)
BOUNDARY = 26  # the token before and after a name; 0 to 25 are the letters
encoded = [[BOUNDARY, *(ord(c) - ord("a") for c in name), BOUNDARY] for name in documents]
print(len(documents), "names, such as", ", ".join(documents[:5]))

# %%
WIDTH, HEADS, CONTEXT = 16, 4, 16


def matrix(rows, columns):
    return [[Value(random.gauss(0, 0.08)) for _ in range(columns)] for _ in range(rows)]


w = {
    "token": matrix(27, WIDTH),
    "position": matrix(CONTEXT, WIDTH),
    "query": matrix(WIDTH, WIDTH),
    "key": matrix(WIDTH, WIDTH),
    "value": matrix(WIDTH, WIDTH),
    "out": matrix(WIDTH, WIDTH),
    "up": matrix(4 * WIDTH, WIDTH),
    "down": matrix(WIDTH, 4 * WIDTH),
    "head": matrix(27, WIDTH),
}
parameters = [p for rows in w.values() for row in rows for p in row]
print(len(parameters), "parameters")


# %%
def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def linear(rows, x):
    return [dot(row, x) for row in rows]


def rmsnorm(x):
    scale = (dot(x, x) / len(x) + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def softmax(logits):
    top = max(z.data for z in logits)
    exps = [(z - top).exp() for z in logits]
    total = sum(exps)
    return [e / total for e in exps]


def embedding(rows, index):
    return rows[index]


def negative_log(logits, target):
    return -softmax(logits)[target].log()


def attention(query, keys, values):
    size = WIDTH // HEADS
    mixed = []
    for start in range(0, WIDTH, size):
        part = slice(start, start + size)
        scores = softmax([dot(query[part], k[part]) / size**0.5 for k in keys])
        mixed += [dot(scores, column) for column in zip(*(v[part] for v in values), strict=True)]
    return mixed


def next_logits(token, position, keys, values):
    """The next letter's logits; this letter's key and value join those before it."""
    x = embedding(w["token"], token)
    x = rmsnorm([a + b for a, b in zip(x, w["position"][position], strict=True)])
    h = rmsnorm(x)
    keys.append(linear(w["key"], h))
    values.append(linear(w["value"], h))
    h = linear(w["out"], attention(linear(w["query"], h), keys, values))
    x = [a + b for a, b in zip(x, h, strict=True)]
    h = linear(w["down"], [v.relu() for v in linear(w["up"], rmsnorm(x))])
    x = [a + b for a, b in zip(x, h, strict=True)]
    return linear(w["head"], x)


def loss(tokens):
    keys, values, losses = [], [], []
    for position in range(len(tokens) - 1):
        logits = next_logits(tokens[position], position, keys, values)
        losses.append(negative_log(logits, tokens[position + 1]))
    return sum(losses) * (1 / len(losses))


# %% [markdown]
# ## Training, eagerly


# %%
def train(loss, documents, steps, name):
    """Adam, one name a step, with a rate that falls to zero."""
    optimizer = optim.Adam(parameters, lr=0.01, betas=(0.85, 0.99))
    losses, begin = [], perf_counter()
    for k in (bar := tqdm(range(steps), desc=name)):
        optimizer.lr = 0.01 * (1 - k / steps)
        total = loss(documents[k % len(documents)])
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.data)
        if k % 100 == 0:
            bar.set_postfix_str(f"loss {np.mean(losses[-500:]):.3f}", refresh=False)
    each = (perf_counter() - begin) / steps
    print(f"{name}: loss {np.mean(losses[-500:]):.3f}, {each * 1e3:.2f} ms a name")


train(loss, encoded, EAGER_STEPS, "eager")


# %%
def sample(temperature=0.5):
    """A new name, letter by letter."""
    token, letters, keys, values = BOUNDARY, "", [], []
    with mg.no_grad():
        while len(letters) < CONTEXT:
            logits = next_logits(token, len(letters), keys, values)
            chances = [p.data for p in functional.softmax([z / temperature for z in logits])]
            token = random.choices(range(27), chances)[0]
            if token == BOUNDARY:
                break
            letters += chr(ord("a") + token)
    return letters


print("after", EAGER_STEPS, "names:", ", ".join(sample() for _ in range(10)))

# %% [markdown]
# ## Compiled
#
# A trace must not ask a Value for its number, and letters become inputs: integers in an array, for
# `mg.take` to pick by. So softmax, embedding, the loss of a letter and the data change; the network
# does not. The function is traced once for every length of name.

# %%
softmax = functional.softmax  # noqa: F811
negative_log = functional.cross_entropy  # noqa: F811
embedding = mg.take  # noqa: F811
compiled_loss = mg.compile(loss)
arrays = [np.array(tokens) for tokens in encoded]

# The same numbers as before.
print("eager", loss(encoded[0]).data, "compiled", compiled_loss(arrays[0]).data)

# %%
train(compiled_loss, arrays, COMPILED_STEPS, "compiled")
invented = sorted({sample() for _ in range(30)} - found)
print(len(invented), "of 30 samples are new:", ", ".join(invented))
