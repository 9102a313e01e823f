// The page of viz.backprop: `data` holds all that is shown, each number as [all digits, text].
// A step says what is new; what was there before it is added up from the steps before.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { nodes, steps, views } = data;
  const at = (id) => document.getElementById(id);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const PHASES = [["forward", "Forward", ["start", "forward"]],
                  ["backward", "Backward", ["seed", "backward", "end"]],
                  ["optimizer", "Optimizer", ["optimizer"]]];
  const PAUSE = 1400; // ms a step when playing
  const SMALLEST = 0.72; // scale to which a graph shrinks before it scrolls

  // Texts come from a program: they are set as text, never as HTML.
  function make(tag, attributes, ...inside) {
    const isDrawn = ["svg", "g", "rect", "path", "text", "title", "tspan"].includes(tag);
    const element = isDrawn ? document.createElementNS("http://www.w3.org/2000/svg", tag)
                            : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    element.append(...inside);
    return element;
  }
  const cut = (text, most) => text.length <= most ? text : text.slice(0, most - 1) + "…";
  const phaseOf = (step) => PHASES.findIndex((phase) => phase[2].includes(step.phase));
  const number = ([digits, text]) => make("span", { title: digits, class: "number" }, text);
  const factor = (pair) => pair[1].startsWith("-") ? ["(", number(pair), ")"] : [number(pair)];

  // ---- what is known at a step ----

  const turnOf = new Map(); // node -> its backward step
  const lastOf = new Map(); // node -> the last step that adds to it
  const home = nodes.map(() => 0); // the view in which a node has a box of its own
  steps.forEach((step, k) => {
    if (step.phase !== "backward") return;
    turnOf.set(step.node, k);
    step.rows.forEach((row) => lastOf.set(row.to, k));
  });
  const seed = steps.findIndex((step) => step.phase === "seed");
  views.forEach((view, v) => view.items.forEach((item) => {
    if (item.nodes.length === 1 && item.title === undefined && !item.outside) home[item.nodes[0]] = v;
  }));

  function gradients(now) {
    const found = nodes.map((node) => node.before);
    if (now >= seed) found[nodes.length - 1] = steps[seed].grad;
    for (let k = seed; k <= now; k++)
      if (steps[k].phase === "backward") for (const row of steps[k].rows) found[row.to] = row.after;
    return found;
  }
  const isComputed = (node, now) => now > node; // step 0 is the start, then one for each node

  // ---- the graph ----

  let view = 0, now = 0, timer = null;
  let boxes = [], wires = [], canvas = null;

  function drawWire(line) {
    const [x, y] = line.tip;
    const wire = make("g", { class: "wire" }, make("path", { d: line.d }),
      make("path", { class: "tip", d: `M${x} ${y}l-7 -4v8z` }));
    canvas.append(wire);
    return { line, wire };
  }

  function drawBox(item, [x, y, width, height]) {
    const box = make("g", { class: "box", transform: `translate(${x} ${y})` },
      make("rect", { width, height, rx: 7 }));
    const parts = { box, item };
    if (item.title !== undefined) drawFold(parts, item);
    else drawNode(parts, item, width);
    if (item.outside) box.classList.add("outside");
    canvas.append(box);
    return parts;
  }

  function drawNode(parts, item, width) {
    const node = nodes[item.nodes[0]], box = parts.box;
    box.classList.add("node");
    box.classList.toggle("parameter", node.parameter);
    box.setAttribute("role", "img");
    parts.label = make("title");
    parts.data = make("tspan");
    parts.grad = make("tspan", { class: "grad-number" });
    box.append(parts.label,
      make("text", { x: 10, y: 18, class: "name" }, cut(node.name, 22)),
      make("text", { x: width - 10, y: 18, class: "op", "text-anchor": "end" }, node.op),
      make("text", { x: 10, y: 36 }, make("tspan", { class: "word" }, "data "), parts.data),
      make("text", { x: 10, y: 53 }, make("tspan", { class: "word" }, "grad "), parts.grad));
    box.addEventListener("click", () => jump(item.nodes[0]));
  }

  function drawFold(parts, item) {
    const box = parts.box, size = item.nodes.length;
    box.append(make("text", { x: 12, y: 20, class: "name" }, cut(item.title, 30)),
      make("text", { x: 12, y: 38, class: "word" }, `${size} nodes` + (item.view ? " ..." : "")));
    if (item.view === undefined) return;
    box.classList.add("fold");
    box.setAttribute("role", "button");
    box.setAttribute("tabindex", "0");
    box.setAttribute("aria-label", `Open ${item.title}, ${size} nodes`);
    box.addEventListener("click", () => open(item.view));
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation();
      open(item.view);
      at("graph").focus();
    });
  }

  function drawView() {
    const shown = views[view], [width, height] = shown.size;
    canvas = make("svg", { viewBox: `0 0 ${width} ${height}` });
    wires = shown.lines.map(drawWire);
    boxes = shown.items.map((item, k) => drawBox(item, shown.boxes[k]));
    at("graph").replaceChildren(canvas);
    fit();
    drawWay();
  }

  function fit() {
    const [width, height] = views[view].size, room = at("graph").clientWidth - 2;
    const scale = Math.min(1.1, Math.max(SMALLEST, room / width));
    canvas.setAttribute("width", width * scale);
    canvas.setAttribute("height", height * scale);
  }

  function drawWay() {
    const way = [];
    for (let v = view; v !== null; v = views[v].parent) way.unshift(v);
    at("way").replaceChildren(...(way.length < 2 ? [] : way.map((v) => {
      const button = make("button", { type: "button" }, v ? views[v].title : "all");
      if (v === view) button.setAttribute("aria-current", "location");
      button.addEventListener("click", () => open(v));
      return button;
    })));
  }

  function open(v) {
    view = v;
    drawView();
    show();
  }

  // ---- one step, shown ----

  function showGraph(step, grads) {
    const targets = new Set((step.rows || []).map((row) => row.to));
    const links = new Set();
    if (step.phase === "forward") nodes[step.node].operands.forEach((x) => links.add(`${x} ${step.node}`));
    if (step.phase === "backward") targets.forEach((x) => links.add(`${x} ${step.node}`));
    const isOver = phaseOf(step) > 0;
    for (const parts of boxes) {
      const { box, item } = parts;
      const isCurrent = step.node !== null && item.nodes.includes(step.node);
      box.classList.toggle("current", isCurrent);
      box.classList.toggle("target", item.nodes.some((k) => targets.has(k)));
      box.classList.toggle("waiting", !item.nodes.some((k) => isComputed(k, now)));
      if (!parts.label) continue;
      const k = item.nodes[0], node = nodes[k], known = isComputed(k, now);
      parts.data.textContent = known ? node.data[1] : "";
      parts.grad.textContent = isOver ? grads[k][1] : "";
      const text = `${node.path || node.name}${node.formula && " = " + node.formula}` +
        (known ? `, data ${node.data[0]}` : "") + (isOver ? `, grad ${grads[k][0]}` : "");
      parts.label.textContent = text;
      box.setAttribute("aria-label", text);
    }
    canvas.querySelectorAll(".chip").forEach((chip) => chip.remove());
    wires.forEach((wire) => showWire(wire, step, links));
  }

  function showWire({ line, wire }, step, links) {
    const [from, to] = [line.from, line.to].map((k) => views[view].items[k].nodes);
    const isOn = step.node !== null && to.includes(step.node) &&
      from.some((k) => links.has(`${k} ${step.node}`));
    wire.classList.toggle("on", isOn);
    if (!isOn || step.phase !== "backward" || from.length > 1) return;
    const rows = step.rows.filter((row) => row.to === from[0]);
    const text = rows.map((row) => row.local ? `×${row.local[1]}` : `+${row.product[1]}`).join(" ");
    const [x, y] = line.at, width = text.length * 7.3 + 12;
    canvas.append(make("g", { class: "chip", transform: `translate(${x} ${y})` },
      make("rect", { x: -width / 2, y: -10, width, height: 20, rx: 10 }),
      make("text", { y: 4 }, text)));
  }

  function keepInSight(step) {
    const box = boxes.find(({ item }) => step.node !== null && item.nodes.includes(step.node));
    if (!box) return;
    const room = at("graph"), frame = room.getBoundingClientRect(), mine = box.box.getBoundingClientRect();
    room.scrollBy({
      left: mine.left < frame.left || mine.right > frame.right
        ? mine.left + mine.width / 2 - frame.left - frame.width / 2 : 0,
      top: mine.top < frame.top || mine.bottom > frame.bottom
        ? mine.top + mine.height / 2 - frame.top - frame.height / 2 : 0,
      behavior: calm.matches || timer ? "auto" : "smooth",
    });
  }

  function cell(label, ...inside) {
    return make("td", { "data-label": label }, make("span", {}, ...inside));
  }

  function backwardRow(row) {
    const local = [];
    if (row.of) local.push(make("span", { class: "of" }, row.of));
    local.push(row.symbols);
    if (row.numbers) local.push(` = ${row.numbers}`);
    if (row.local && row.symbols !== row.local[1]) local.push(" = ", number(row.local));
    const sum = make("b", {}, number(row.after));
    const isFirst = Number(row.before[0]) === 0;
    return make("tr", {},
      cell("to", row.name),
      cell("local derivative", ...local),
      cell("× gradient from above", number(row.grad)),
      cell("= product", number(row.product)),
      cell("sum so far", ...(isFirst ? [sum] : [number(row.before), " + ", ...factor(row.product), " = ", sum])));
  }

  function optimizerRow(row) {
    return make("tr", {}, cell("parameter", row.name), cell("data", number(row.data)),
      cell("grad", number(row.grad)), cell("would become", row.how && `${row.how} = `, make("b", {}, number(row.new))));
  }

  function showCard(step) {
    at("card").className = step.phase;
    at("card-title").textContent = step.title;
    at("lead").textContent = step.lead || step.say;
    const isUpdate = step.phase === "optimizer";
    const heads = isUpdate ? ["parameter", "data", "grad", "would become"]
      : ["to", "local derivative", "× gradient from above", "=\u00a0product", "sum so far"];
    at("table").replaceChildren(...(!step.rows || !step.rows.length ? [] : [make("table", {},
      make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)))),
      make("tbody", {}, ...step.rows.map(isUpdate ? optimizerRow : backwardRow)))]));
  }

  function showOrder(step, grads) {
    const isOver = phaseOf(step) > 0;
    // What stays is left alone: a list of thousands takes its time.
    entries.forEach((line, k) => {
      const isWaiting = !isComputed(k, now), grad = isOver ? grads[k] : null;
      if (isWaiting !== line.isWaiting) line.entry.classList.toggle("waiting", isWaiting);
      if (grad !== line.shown) line.grad.replaceChildren(...(grad ? [number(grad)] : []));
      line.isWaiting = isWaiting;
      line.shown = grad;
    });
    document.querySelector("#list [aria-current]")?.removeAttribute("aria-current");
    if (step.node === null) return;
    const { entry, button } = entries[step.node], list = at("list");
    button.setAttribute("aria-current", "step");
    const top = entry.offsetTop, bottom = top + entry.offsetHeight;
    if (top < list.scrollTop || bottom > list.scrollTop + list.clientHeight)
      list.scrollTop = top - list.clientHeight / 2;
  }

  function show() {
    const step = steps[now], grads = gradients(now), phase = PHASES[phaseOf(step)];
    const own = steps.filter((other) => phaseOf(other) === phaseOf(step));
    if (at("follow").checked && step.node !== null && home[step.node] !== view) {
      view = home[step.node];
      drawView();
    }
    document.body.className = step.phase;
    at("slider").value = now;
    at("slider").setAttribute("aria-valuetext", `${now + 1} of ${steps.length}: ${step.title}`);
    at("count").textContent = `${phase[1]} ${own.indexOf(step) + 1}/${own.length}`;
    at("phases").querySelectorAll("button").forEach((button) => {
      if (button.dataset.phase === phase[0]) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    });
    at("first").disabled = at("previous").disabled = now === 0;
    at("last").disabled = at("next").disabled = now === steps.length - 1;
    showGraph(step, grads);
    showCard(step);
    showOrder(step, grads);
    keepInSight(step);
    at("said").textContent = step.say;
  }

  // ---- going ----

  function go(step) {
    now = Math.min(steps.length - 1, Math.max(0, step));
    show();
  }

  function jump(node) {
    const isOver = phaseOf(steps[now]) > 0;
    const turn = turnOf.has(node) ? turnOf.get(node) : lastOf.get(node);
    stop();
    go(isOver && turn !== undefined ? turn : node + 1);
  }

  // To the next step that is in another box of the graph.
  function skip(direction) {
    const boxOf = (k) => boxes.findIndex(({ item }) => item.nodes.includes(steps[k].node));
    const here = boxOf(now);
    let k = now + direction;
    while (k > 0 && k < steps.length - 1 && boxOf(k) === here) k += direction;
    go(k);
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    at("play").classList.remove("playing");
    at("play").setAttribute("aria-label", "Play");
  }

  function play() {
    if (timer) return stop();
    if (now === steps.length - 1) go(0);
    timer = setInterval(() => {
      go(now + 1);
      if (now === steps.length - 1) stop();
    }, PAUSE);
    at("play").classList.add("playing");
    at("play").setAttribute("aria-label", "Pause");
  }

  const KEYS = {
    ArrowRight: () => go(now + 1), ArrowLeft: () => go(now - 1), Home: () => go(0),
    End: () => go(steps.length - 1), PageDown: () => skip(1), PageUp: () => skip(-1),
    Escape: () => { if (views[view].parent !== null) open(views[view].parent); },
  };

  function pressed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const isButton = event.target.closest("button, input[type=checkbox]");
    if (event.key === " " && !isButton) {
      event.preventDefault();
      play();
    } else if (KEYS[event.key]) {
      event.preventDefault();
      stop();
      KEYS[event.key]();
    }
  }

  // ---- the page ----

  const entries = nodes.map((node, k) => {
    const grad = make("span", { class: "grad" });
    const text = node.formula ? `${node.name} = ${node.formula}` : node.name;
    const button = make("button", { type: "button" }, make("span", { class: "place" }, String(k + 1)),
      make("span", { class: "formula" }, text), make("span", { class: "data" }, number(node.data)), grad);
    button.addEventListener("click", () => jump(k));
    return { entry: make("li", {}, button), button, grad };
  });
  at("list").append(...entries.map(({ entry }) => entry));

  PHASES.forEach(([name, title]) => {
    const first = steps.findIndex((step) => PHASES[phaseOf(step)][0] === name);
    if (first < 0) return;
    const button = make("button", { type: "button", class: name, "data-phase": name }, title);
    button.addEventListener("click", () => { stop(); go(first); });
    at("phases").append(button);
  });

  const isFolded = views.length > 1;
  at("follow-label").hidden = at("fold-keys").hidden = !isFolded;
  at("graph-text").textContent = `A graph of ${nodes.length} nodes` +
    (isFolded ? `, folded into ${views[0].items.length} boxes; Enter opens one` : "") +
    ". The list of the topological order has each node with its formula, value and gradient.";
  at("slider").max = steps.length - 1;
  at("slider").addEventListener("input", () => { stop(); go(Number(at("slider").value)); });
  at("follow").addEventListener("change", show);
  at("first").addEventListener("click", () => { stop(); go(0); });
  at("previous").addEventListener("click", () => { stop(); go(now - 1); });
  at("play").addEventListener("click", play);
  at("next").addEventListener("click", () => { stop(); go(now + 1); });
  at("last").addEventListener("click", () => { stop(); go(steps.length - 1); });
  document.addEventListener("keydown", pressed);
  addEventListener("resize", fit);
  drawView();
  show();
})();
