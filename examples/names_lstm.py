# %% [markdown]
# # An LSTM that invents names
#
# A recurrent network reads a name letter by letter and says after each which comes next: an
# embedding, an LSTM cell and a linear layer, trained on 5,000 American first names (the PyPI
# package `names`) with AdamW, clipped gradients and a one-cycle schedule. Written for one name in
# scalars, as PyTorch's layers are called; compiled over batches of names of one length.
#
# Needs `pip install 'micrograd-fast[examples]'`.

# %% tags=["parameters"]
STEPS = 3_000

# %%
import random
from collections import defaultdict
from time import perf_counter

import names
import numpy as np
from tqdm.auto import tqdm

import micrograd_fast as mg
from micrograd_fast import functional, nn, optim
from micrograd_fast.nn.utils import clip_grad_norm_

random.seed(42)
rng = np.random.default_rng(42)
found = set()
for sex in ("male", "female"):
    with open(names.FILES[f"first:{sex}"]) as lines:
        found |= {line.split()[0].lower() for line in lines}
documents = sorted(found)
random.shuffle(documents)
BOUNDARY = 26  # the token before and after a name; 0 to 25 are the letters


def encoded(name):
    return [BOUNDARY, *(ord(c) - ord("a") for c in name), BOUNDARY]


def by_length(names):
    """Arrays of tokens, a row a name, one for each length."""
    rows = defaultdict(list)
    for name in names:
        rows[len(name)].append(encoded(name))
    return {length: np.array(tokens) for length, tokens in rows.items()}


trained, held_out = by_length(documents[500:]), by_length(documents[:500])
print(len(documents), "names, such as", ", ".join(documents[:5]))

# %% [markdown]
# ## The model
#
# Its parameters are the Values that hang on it; nobody lists them.


# %%
class Speller(nn.Module):
    def __init__(self, hidden):
        self.letters = nn.Embedding(27, 8)
        self.cell = nn.LSTMCell(8, hidden)
        self.head = nn.Linear(hidden, 27, init="xavier")

    def __call__(self, token, state=None):
        """Logits of the next letter, and the state."""
        state = self.cell(self.letters(token), state)
        return self.head(state[0]), state


model = Speller(hidden=32)
sizes = defaultdict(int)
for name, _ in model.named_parameters():
    sizes[name.partition(".")[0]] += 1
print(model.letters, model.cell, model.head, dict(sizes))


# %%
@mg.compile(batch=True)
def loss_of_name(tokens):
    state, losses = None, []
    for token, following in zip(tokens, tokens[1:]):  # noqa: B905, RUF007
        logits, state = model(token, state)
        losses.append(functional.cross_entropy(logits, following))
    return functional.mean(losses)


def loss_of_all(arrays):
    """The mean over all names, without a graph."""
    losses = np.concatenate([loss_of_name.values(tokens) for tokens in arrays.values()])
    return losses.mean()


print(f"at first {loss_of_all(held_out):.3f}; of 27 equal chances {np.log(27):.3f}")

# %% [markdown]
# ## Training
#
# Weights decay, embeddings and biases do not: two groups of parameters.

# %%
matrices = [*model.cell.weight_ih, *model.cell.weight_hh, *model.head.weight]
decaying = [p for row in matrices for p in row]
others = [*model.letters.parameters(), *model.cell.bias_ih, *model.cell.bias_hh, *model.head.bias]
optimizer = optim.AdamW([{"params": decaying}, {"params": others, "weight_decay": 0.0}])
schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.02, total_steps=STEPS)

lengths = [length for length, tokens in trained.items() for _ in range(len(tokens))]
recent, begin = [], perf_counter()
for k in (bar := tqdm(range(STEPS))):
    tokens = trained[random.choice(lengths)]  # as often as there are names of that length
    loss = loss_of_name(tokens[rng.integers(0, len(tokens), 64)]).mean()
    optimizer.zero_grad()
    loss.backward()
    clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()
    recent = [*recent[-99:], loss.item()]
    if k % 50 == 0:
        bar.set_postfix_str(f"loss {np.mean(recent):.3f}", refresh=False)
each = (perf_counter() - begin) / STEPS * 1e3
print(f"loss {np.mean(recent):.3f}, held out {loss_of_all(held_out):.3f}; {each:.1f} ms a step")


# %%
def sample(temperature=0.7):
    """A new name, letter by letter."""
    token, letters, state = BOUNDARY, "", None
    with mg.no_grad():
        while len(letters) < 16:
            logits, state = model(token, state)
            chances = functional.softmax([z / temperature for z in logits])
            token = random.choices(range(27), [p.data for p in chances])[0]
            if token == BOUNDARY:
                break
            letters += chr(ord("a") + token)
    return letters


invented = sorted({sample() for _ in range(30)} - found)
print(len(invented), "of 30 samples are new:", ", ".join(invented))
nn.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, "speller.npz")
