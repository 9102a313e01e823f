"""micrograd's two notebooks run on both engines with only the import changed."""

import gc
import random
import re
import sys

import numpy as np
import pytest

# Imported before the cells seed: importing it for the first time draws random numbers.
pytest.importorskip("sklearn.datasets")

# The cells of demo.ipynb, in their order; plots are left out, N and DIM shrink the first run.
SETUP = """
import random
import numpy as np
from micrograd.engine import Value
from micrograd.nn import Neuron, Layer, MLP

np.random.seed(1337)
random.seed(1337)

from sklearn.datasets import make_moons
X, y = make_moons(n_samples=N, noise=0.1)
y = y*2 - 1 # make y be -1 or 1

model = MLP(2, [DIM, DIM, 1]) # 2-layer neural network
print(model)
print("number of parameters", len(model.parameters()))

def loss(batch_size=None):

    # inline DataLoader :)
    if batch_size is None:
        Xb, yb = X, y
    else:
        ri = np.random.permutation(X.shape[0])[:batch_size]
        Xb, yb = X[ri], y[ri]
    inputs = [list(map(Value, xrow)) for xrow in Xb]

    # forward the model to get scores
    scores = list(map(model, inputs))

    # svm "max-margin" loss
    losses = [(1 + -yi*scorei).relu() for yi, scorei in zip(yb, scores)]
    data_loss = sum(losses) * (1.0 / len(losses))
    # L2 regularization
    alpha = 1e-4
    reg_loss = alpha * sum((p*p for p in model.parameters()))
    total_loss = data_loss + reg_loss

    # also get accuracy
    accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(yb, scores)]
    return total_loss, sum(accuracy) / len(accuracy)
"""

STEP = """
# forward
total_loss, acc = loss(BATCH)

# backward
model.zero_grad()
total_loss.backward()

# update (sgd)
learning_rate = 1.0 - 0.9*k/100
for p in model.parameters():
    p.data -= learning_rate * p.grad

if k % 1 == 0:
    print(f"step {k} loss {total_loss.data}, accuracy {acc*100}%")
"""

BOUNDARY = """
h = 0.25
x_min, x_max = X[:, 0].min() - 1, X[:, 0].max() + 1
y_min, y_max = X[:, 1].min() - 1, X[:, 1].max() + 1
xx, yy = np.meshgrid(np.arange(x_min, x_max, h),
                     np.arange(y_min, y_max, h))
Xmesh = np.c_[xx.ravel(), yy.ravel()]
inputs = [list(map(Value, xrow)) for xrow in Xmesh]
scores = list(map(model, inputs))
Z = np.array([s.data > 0 for s in scores])
Z = Z.reshape(xx.shape)
"""

# trace_graph.ipynb.
TRACE_GRAPH = """
from graphviz import Digraph
from micrograd.engine import Value

def trace(root):
    nodes, edges = set(), set()
    def build(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)
    build(root)
    return nodes, edges

def draw_dot(root, format='svg', rankdir='LR'):
    assert rankdir in ['LR', 'TB']
    nodes, edges = trace(root)
    dot = Digraph(format=format, graph_attr={'rankdir': rankdir})

    for n in nodes:
        dot.node(name=str(id(n)), label = "{ data %.4f | grad %.4f }" % (n.data, n.grad),
                 shape='record')
        if n._op:
            dot.node(name=str(id(n)) + n._op, label=n._op)
            dot.edge(str(id(n)) + n._op, str(id(n)))

    for n1, n2 in edges:
        dot.edge(str(id(n1)), str(id(n2)) + n2._op)

    return dot

# a very simple example
x = Value(1.0)
y = (x * 2 + 1).relu()
y.backward()
first = draw_dot(y)

# a simple 2D neuron
import random
from micrograd import nn

random.seed(1337)
n = nn.Neuron(2)
x = [Value(1.0), Value(-2.0)]
y = n(x)
y.backward()

dot = draw_dot(y)
"""


def execute(code, package, **names):
    """Run notebook code with only the imported package changed; its names, and what it printed."""
    printed = []
    names["print"] = lambda *words: printed.append(" ".join(map(str, words)))
    exec(code.replace("from micrograd", f"from {package}"), names)
    return names, printed


def quick_free(model):
    """A function that frees the graph of micrograd's last backward(), for the sake of speed.

    All nodes are in reference cycles there, and a run of the garbage collector takes longer than a
    step. A parameter's own `_backward`, which does nothing, is called from the frame that has them.
    """
    lists = []

    def look():
        names = sys._getframe(1).f_locals
        lists[:] = names["topo"], names["visited"]

    def free():
        for v in lists[0]:
            if v._op:
                vars(v).clear()
        for nodes in lists:
            nodes.clear()

    model.parameters()[0]._backward = look
    return free


def train(package, samples, width, steps, batch=None):
    """The demo, step by step: its names, what it printed, the losses and the accuracies."""
    names, printed = execute(SETUP, package, N=samples, DIM=width, BATCH=batch)
    step = compile(STEP, "demo.ipynb", "exec")
    free = quick_free(names["model"]) if package == "micrograd" else lambda: None
    losses, accuracies = [], []
    for k in range(steps):
        names["k"] = k
        exec(step, names)
        losses.append(names["total_loss"].data)
        accuracies.append(names["acc"])
        free()
    return names, printed, losses, accuracies


@pytest.fixture
def seeds():
    """The notebooks seed the global generators: put their states back."""
    state, numpy_state = random.getstate(), np.random.get_state()
    yield
    random.setstate(state)
    np.random.set_state(numpy_state)


@pytest.mark.usefixtures("seeds")
@pytest.mark.parametrize("batch", [None, 8])
def test_a_small_demo_prints_and_draws_the_same_on_both_engines(batch):
    runs = [train(package, 20, 6, 4, batch) for package in ("micrograd", "micrograd_fast")]
    (names, printed, losses, accuracies), (our_names, our_printed, our_losses, our_acc) = runs
    assert our_printed[:2] == printed[:2]
    assert our_printed[1] == "number of parameters 67"
    assert our_losses == pytest.approx(losses, rel=1e-12)
    assert our_acc == accuracies
    for result in (names, our_names):
        exec(BOUNDARY, result)
    assert np.array_equal(names["Z"], our_names["Z"])


@pytest.mark.slow
@pytest.mark.usefixtures("seeds", "gc_off", "live_nodes_unchanged")
def test_the_whole_seeded_demo_has_micrograds_loss_at_each_of_its_hundred_steps():
    """Slow because the reference is: some 25 s, and 100 s with its garbage collected."""
    _, _, losses, accuracies = train("micrograd", 100, 16, 100)
    _, printed, our_losses, our_accuracies = train("micrograd_fast", 100, 16, 100)
    assert printed[1] == "number of parameters 337"
    assert our_losses == pytest.approx(losses, rel=1e-9)
    assert our_accuracies == accuracies
    assert our_accuracies[-1] == 1.0


def outline(dot):
    """The picture without its addresses: node labels, and edges as pairs of labels."""
    node = r'^\t"?(\d+[^ "]*)"? \[label="?(.*?)"?(?: shape.*)?\]$'
    labels = dict(re.findall(node, dot.source, re.M))
    edges = re.findall(r'^\t"?(\d+[^ "]*)"? -> "?(\d+[^ "]*)"?$', dot.source, re.M)
    return sorted(labels.values()), sorted((labels[a], labels[b]) for a, b in edges)


@pytest.mark.usefixtures("seeds")
def test_trace_graph_draws_the_same_pictures_on_both_engines():
    pytest.importorskip("graphviz")
    pictures = []
    for package in ("micrograd", "micrograd_fast"):
        names, _ = execute(TRACE_GRAPH, package)
        pictures.append((outline(names["first"]), outline(names["dot"])))
    assert pictures[1] == pictures[0]
    (labels, edges), (neuron_labels, _) = pictures[1]
    assert (len(labels), len(edges)) == (6 + 3, 5 + 3)
    assert neuron_labels.count("ReLU") == 1


@pytest.mark.usefixtures("seeds")
def test_one_seed_gives_the_network_that_micrograd_builds(engines):
    parameters, texts, following = [], [], []
    for engine in engines:
        random.seed(1337)
        model = engine.nn.MLP(3, [4, 4, 1])
        parameters.append([p.data for p in model.parameters()])
        texts.append(repr(model))
        following.append(random.random())
    assert parameters[1] == parameters[0]
    assert texts[1] == texts[0]
    assert following[1] == following[0]
    gc.collect()
