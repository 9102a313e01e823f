"use strict";
// Marks what belongs together: a step's nodes, a node's steps. All that is shown is in the page.
const data = JSON.parse(document.getElementById("data").textContent);
const graph = document.getElementById("graph");
const said = document.getElementById("said");
const steps = [...document.querySelectorAll("#steps button")];
const nodes = data.says.map((_, k) => document.getElementById(`n-n${k}`));
let kept = null; // what stays marked: {kind: "step" or "node", at}

function mark(what) {
  graph.classList.toggle("marked", what !== null);
  nodes.forEach((node) => node.classList.remove("made", "taken"));
  steps.forEach((step, k) => {
    step.classList.remove("on", "reads");
    step.setAttribute("aria-pressed", String(kept !== null && kept.kind === "step" && kept.at === k));
  });
  if (what === null) return;
  if (what.kind === "step") {
    steps[what.at].classList.add("on");
    data.made[what.at].forEach((k) => nodes[k].classList.add("made"));
    data.taken[what.at].forEach((k) => nodes[k].classList.add("taken"));
  } else {
    nodes[what.at].classList.add("made");
    data.made.forEach((made, k) => made.includes(what.at) && steps[k].classList.add("on"));
    data.taken.forEach((taken, k) => taken.includes(what.at) && steps[k].classList.add("reads"));
  }
}

// The first of what was marked on the other side comes into view; the page itself stays.
function reveal(what) {
  const found = what.kind === "step"
    ? graph.querySelector(".made") || graph.querySelector(".taken")
    : document.querySelector("#steps .on, #steps .reads");
  const side = what.kind === "step" ? graph : document.getElementById("steps");
  if (!found) return;
  const place = found.getBoundingClientRect(), frame = side.getBoundingClientRect();
  const away = (start, end, from, to) => (start < from || end > to ? (start + end - from - to) / 2 : 0);
  side.scrollLeft += away(place.left, place.right, frame.left, frame.right);
  side.scrollTop += away(place.top, place.bottom, frame.top, frame.bottom);
}

function keep(what) {
  const same = kept !== null && what !== null && kept.kind === what.kind && kept.at === what.at;
  kept = same ? null : what;
  mark(kept);
  if (kept !== null) reveal(kept);
}

function say(what) {
  if (what.kind === "node") {
    said.textContent = `${nodes[what.at].getAttribute("aria-label")}.`;
  } else {
    const made = data.made[what.at].length, taken = data.taken[what.at].length;
    said.textContent = `Computes ${made} of the graph's boxes, reads ${taken}.`;
  }
}

function attach(element, kind, at, all) {
  const what = { kind, at };
  element.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && kept === null && mark(what));
  element.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && mark(kept));
  element.addEventListener("click", () => keep(what));
  element.addEventListener("focus", () => {
    if (kept === null) { mark(what); reveal(what); }
    say(what);
  });
  element.addEventListener("blur", () => mark(kept));
  element.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : at + by;
    if (all[to]) {
      event.preventDefault();
      kept = null;
      if (kind === "node") { element.tabIndex = -1; all[to].tabIndex = 0; }
      all[to].focus();
    } else if (kind === "node" && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      keep(what);
    }
  });
}

steps.forEach((step, k) => attach(step, "step", k, steps));
nodes.forEach((node, k) => {
  const heading = node.querySelector("text").textContent;
  node.classList.add("node");
  node.setAttribute("role", "button");
  node.setAttribute("aria-label", `${heading}, ${data.says[k]}`);
  node.setAttribute("tabindex", k === 0 ? "0" : "-1");
  attach(node, "node", k, nodes);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { kept = null; mark(null); }
});
const fit = document.getElementById("fit");
function showWhole(whole) {
  graph.classList.toggle("whole", whole);
  fit.setAttribute("aria-pressed", String(whole));
}
fit.addEventListener("click", () => showWhole(!graph.classList.contains("whole")));
// Where letters stay readable the whole graph is shown from the start.
showWhole(graph.clientWidth > 0.65 * graph.firstElementChild.getAttribute("width"));
