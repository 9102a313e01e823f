# %% [markdown]
# # The loss is nan: from symptom to line
#
# scikit-learn's breast cancer data: ten measurements of the cell nuclei of 569 tumours, and whether
# each is benign. A logistic regression on their logarithms, written as one writes it at first, has
# three faults. Each shows up far from where it is; `find_nan` and `detect_anomaly` say where.
#
# Needs `pip install 'micrograd-fast[examples]'`.

# %% tags=["parameters"]
STEPS = 200

# %%
import linecache

import numpy as np
from sklearn.datasets import load_breast_cancer

import micrograd_fast as mg
from micrograd_fast import optim

tumours = load_breast_cancer()
X, benign = tumours.data[:, :10], tumours.target.astype(float)
print(f"{len(X)} tumours, {int(benign.sum())} of them benign")

weights = [mg.Value(0.0, label=f"weight of {name}") for name in tumours.feature_names[:10]]
bias = mg.Value(0.0, label="bias")


def show(found):
    """A finding, and the line that it names."""
    print(found.rpartition(f":{found.line}: ")[2])
    print(f"  line: {linecache.getline(found.file, found.line).strip()}")


# %% [markdown]
# ## First symptom: the loss is nan before the first step


# %%
def raw_log_odds(x):
    logs = [v.log() for v in x]
    return sum((w * v for w, v in zip(weights, logs, strict=True)), bias)


@mg.compile(batch=True)
def raw_loss(x, target):
    p = raw_log_odds(x).sigmoid()
    return -(target * p.log() + (1.0 - target) * (1.0 - p).log())


print("loss:", raw_loss(X, benign).mean().data)
found = raw_loss.find_nan(X, benign)
show(found)

# %% [markdown]
# Thirteen tumours have no concave parts at all, and the logarithm of 0 is -inf. Sample, argument
# and line are there as attributes too.

# %%
column = int(found.argument.strip("x[]"))
print(f"tumour {found.sample}: {tumours.feature_names[column]} = {X[found.sample, column]}")
print("zeros by column:", (X == 0).sum(axis=0))


# %% [markdown]
# ## Second symptom: the loss becomes nan after some steps


# %%
def log_odds(x):
    logs = [(v + 0.001).log() for v in x]
    return sum((w * v for w, v in zip(weights, logs, strict=True)), bias)


@mg.compile(batch=True)
def sure_loss(x, target):
    p = log_odds(x).sigmoid()
    return -(target * p.log() + (1.0 - target) * (1.0 - p).log())


optimizer = optim.SGD([*weights, bias], lr=0.5)
for step in range(50):
    mean = sure_loss(X, benign).mean()
    if not np.isfinite(mean.data):
        print(f"step {step}: the loss is {mean.data}")
        break
    optimizer.zero_grad()
    mean.backward()
    optimizer.step()
show(sure_loss.find_nan(X, benign))

# %% [markdown]
# Where the model is sure, p is 1 to the last digit, and the other class has the logarithm of 0.
# Written in the log-odds z themselves the same loss is log(1 + exp(z)) - target z, here in the form
# that cannot overflow.


# %%
@mg.compile(batch=True)
def loss(x, target):
    z = log_odds(x)
    return z.relu() + (-abs(z)).exp().log1p() - target * z


print(loss.find_nan(X, benign))

# %% [markdown]
# ## Third symptom: backward() has no derivative
#
# A penalty on the length of the weight vector, eager code beside the compiled loss. It has no
# derivative where all weights are 0, which is where training starts. `detect_anomaly` knows the
# line that built the op.

# %%
for v in [*weights, bias]:
    v.data = v.grad = 0.0


def penalty():
    squares = sum(w * w for w in weights)
    return 0.001 * squares.sqrt()


with mg.detect_anomaly():
    try:
        (loss(X, benign).mean() + penalty()).backward()
    except ZeroDivisionError as e:
        print(str(e).partition(", built at")[0])
        print(f"  line: {linecache.getline(e.__cause__.file, e.__cause__.line).strip()}")

# %% [markdown]
# ## Without them


# %%
def penalty():
    squares = sum(w * w for w in weights)
    return 0.001 * (squares + 1e-12).sqrt()


optimizer = optim.Adam([*weights, bias], lr=0.1)
for _ in range(STEPS):
    total = loss(X, benign).mean() + penalty()
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
odds = mg.compile(log_odds, batch=True)(X).data
print(f"loss {total.data:.3f}, {((odds > 0) == (benign > 0)).mean():.1%} of the tumours are right")
