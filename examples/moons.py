# %% [markdown]
# # micrograd's demo, unchanged
#
# The cells of micrograd's `demo.ipynb`: only the first line is new. Then the same training,
# compiled.
#
# Needs `pip install 'micrograd-fast[examples]'`.

# %% tags=["parameters"]
STEPS = 100

# %%
import micrograd_fast.as_micrograd  # isort: skip

import random

import matplotlib.pyplot as plt
import numpy as np
from micrograd.engine import Value
from micrograd.nn import MLP
from sklearn.datasets import make_moons
from tqdm import tqdm

# %%
np.random.seed(1337)
random.seed(1337)
X, y = make_moons(n_samples=100, noise=0.1)
y = y * 2 - 1  # make y be -1 or 1

# %%
model = MLP(2, [16, 16, 1])  # 2-layer neural network
print("number of parameters", len(model.parameters()))


# %%
def loss():
    inputs = [list(map(Value, xrow)) for xrow in X]

    # forward the model to get scores
    scores = list(map(model, inputs))

    # svm "max-margin" loss
    losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(y, scores, strict=True)]
    data_loss = sum(losses) * (1.0 / len(losses))
    # L2 regularization
    alpha = 1e-4
    reg_loss = alpha * sum(p * p for p in model.parameters())
    total_loss = data_loss + reg_loss

    # also get accuracy
    accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(y, scores, strict=True)]
    return total_loss, sum(accuracy) / len(accuracy)


# %%
losses, accuracies = [], []
for k in tqdm(range(STEPS), desc="eager"):
    # forward
    total_loss, acc = loss()

    # backward
    model.zero_grad()
    total_loss.backward()

    # update (sgd)
    learning_rate = 1.0 - 0.9 * k / 100
    for p in model.parameters():
        p.data -= learning_rate * p.grad
    losses.append(total_loss.data)
    accuracies.append(acc)
print(f"step {k} loss {losses[-1]:.6f}, accuracy {acc:.0%}")

# %% [markdown]
# ## What it learned

# %%
from micrograd_fast import viz

figure, (boundary, course) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
viz.decision_boundary(model, X, y, axes=boundary)
viz.training_curve(losses, axes=course, accuracy=accuracies)
figure.savefig("moons.png")

# %% [markdown]
# A graph as micrograd's `trace_graph.ipynb` draws it, with the names of the parameters: three
# neurons. What is blue has a gradient above 0, what is orange below.

# %%
random.seed(4)
small = MLP(2, [2, 1])
out = small([Value(1.0), Value(-2.0)])
out.backward()
viz.draw_dot(out, names=small)

# %% [markdown]
# And the whole loss that was trained above, tens of thousands of nodes: what is equal is one box.

# %%
viz.draw_dot(total_loss, names=model, fold=True)

# %% [markdown]
# ## The same, compiled
#
# The loss of one sample is traced once and replayed over all of them in C.

# %%
import micrograd_fast as mg

random.seed(1337)
model = MLP(2, [16, 16, 1])
hinge = mg.compile(lambda x, t: (1 + -t * model(x)).relu(), batch=True)
penalty = mg.compile(lambda: 1e-4 * sum(p * p for p in model.parameters()))
targets = y.astype(float)
for k in tqdm(range(STEPS), desc="compiled"):
    total_loss = hinge(X, targets).mean() + penalty()
    model.zero_grad()
    total_loss.backward()
    learning_rate = 1.0 - 0.9 * k / 100
    for p in model.parameters():
        p.data -= learning_rate * p.grad
print(f"step {k} loss {total_loss.data:.6f}, eagerly {losses[-1]:.6f}")
