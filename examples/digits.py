# %% [markdown]
# # Handwritten digits
#
# A network of 64, 32 and 10 units reads the 1,797 scans that come with scikit-learn. The loss is
# written for one scan; `compile(batch=True)` runs it over a mini-batch.
#
# Needs `pip install 'micrograd-fast[examples]'`.

# %% tags=["parameters"]
EPOCHS = 30

# %%
import random

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm.auto import tqdm

import micrograd_fast as mg
from micrograd_fast import functional, nn, optim, viz

random.seed(1337)
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16.0, y, test_size=0.2, stratify=y, random_state=1337
)

# %%
model = nn.MLP(64, [32, 10])
for p in model.parameters():
    p.data *= 0.15  # micrograd draws from (-1, 1), which is much for 64 inputs
optimizer = optim.Adam(model.parameters(), lr=1e-2)
print(len(model.parameters()), "parameters")


@mg.compile(batch=True)
def cross_entropy(x, digit):  # one scan: 64 Values, and its digit, which picks a logit
    return functional.cross_entropy(model(x), digit)


# %%
BATCH = 64
rng = np.random.default_rng(1337)
losses = []
for _ in tqdm(range(EPOCHS), desc="epochs"):
    shuffled = rng.permutation(len(X_train))
    for start in range(0, len(shuffled), BATCH):
        batch = shuffled[start : start + BATCH]
        loss = cross_entropy(X_train[batch], y_train[batch]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.data)

# %% [markdown]
# ## On the scans that it has not seen

# %%
logits = mg.compile(model, batch=True)  # a module compiles like a function
with mg.no_grad():
    read = logits(X_test).data.argmax(axis=1)
print(f"{np.mean(read == y_test):.1%} of {len(y_test)} right")

# %%
figure = plt.figure(figsize=(11, 4), layout="constrained")
left, right = figure.subfigures(1, 2)
viz.training_curve(losses, axes=left.subplots())
left.suptitle("cross entropy of the mini-batches")
wrong = np.flatnonzero(read != y_test)
shown = [*wrong[:12], *np.flatnonzero(read == y_test)][:24]
for cell, k in zip(right.subplots(3, 8).ravel(), shown, strict=False):
    cell.imshow(X_test[k].reshape(8, 8), cmap="gray_r")
    cell.set_title(str(read[k]), color="red" if read[k] != y_test[k] else "black", fontsize=9)
    cell.set_axis_off()
right.suptitle("read as (red: wrong)")
figure.savefig("digits.png")
