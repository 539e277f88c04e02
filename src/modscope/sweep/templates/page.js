"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const by = document.getElementById("by"), measure = document.getElementById("measure");
const NS = "http://www.w3.org/2000/svg";
const COLOURS = { "holds": "var(--holds)", "holds in part": "var(--part)", "does not hold": "var(--fails)" };

const element = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};
const drawn = (name, attributes, text) => {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};
const number = (x) => x === null || x === undefined ? "–" : x === 0 ? "0" : Math.abs(x) >= 1e5 || Math.abs(x) < 1e-3 ? x.toExponential(2) : String(+x.toPrecision(4));
const percent = (x) => `${Math.round(100 * x)} %`;
const now = () => data.groupings[by.value];
const label = (name) => data.claims[name] ? data.claims[name].title : name;

function tableOf(heads, rows) {
  const table = element("table"), head = element("tr");
  heads.forEach((name, i) => head.append(element("th", name, i ? { class: "number", scope: "col" } : { scope: "col" })));
  const top = element("thead"), body = element("tbody");
  top.append(head);
  for (const cells of rows) {
    const row = element("tr");
    cells.forEach((cell, i) => {
      const box = element("td", undefined, i && !(cell instanceof Node) ? { class: "number" } : {});
      box.append(cell instanceof Node ? cell : String(cell));
      row.append(box);
    });
    body.append(row);
  }
  table.append(top, body);
  return table;
}

function bar(one) {
  const width = 150, height = 22, total = one.holds.of;
  if (!total) return element("span", "not applicable");
  const words = `${one.holds.count} of ${total} hold, ${one.in_part.count} in part, ${one.fails.count} not; interval ${percent(one.holds.low)} to ${percent(one.holds.high)}`;
  const svg = drawn("svg", { width: width + 66, height, role: "img", "aria-label": words });
  svg.append(drawn("title", {}, words));
  let x = 0;
  for (const [part, colour] of [[one.holds, "var(--holds)"], [one.in_part, "var(--part)"], [one.fails, "var(--fails)"]]) {
    const w = width * part.count / total;
    svg.append(drawn("rect", { x, y: 7, width: w, height: 12, fill: colour }));
    x += w;
  }
  svg.append(drawn("line", { x1: width * one.holds.low, x2: width * one.holds.high, y1: 4, y2: 4, stroke: "var(--ink)", "stroke-width": 2 }));
  svg.append(drawn("text", { x: width + 6, y: 17 }, `${one.holds.count}/${one.in_part.count}/${one.fails.count}`));
  return svg;
}

function showShares() {
  const groups = Object.keys(now().networks);
  const rows = Object.keys(data.claims).map((name) => {
    const open = element("button", label(name), { type: "button", title: data.claims[name].statement });
    open.addEventListener("click", () => { measure.value = name; showSpread(); document.getElementById("spread-title").scrollIntoView(); });
    return [open, ...groups.map((group) => {
      const one = now().verdicts.find((v) => v.measure === name && v.group === group);
      return one ? bar(one) : "–";
    })];
  });
  const heads = ["claim", ...groups.map((group) => `${group} (${now().networks[group]})`)];
  document.getElementById("shares").replaceChildren(rows.length ? tableOf(heads, rows) : element("p", "No claim was judged in this sweep."));
}

function scaleOf(values, logarithmic) {
  const map = logarithmic ? Math.log10 : (x) => x;
  let low = Math.min(...values.map(map)), high = Math.max(...values.map(map));
  if (low === high) { low -= 0.5; high += 0.5; }
  const room = (high - low) * 0.04;
  const at = (x) => (map(x) - low + room) / (high - low + 2 * room);
  const ticks = Array.from({ length: 5 }, (_, i) => low + (high - low) * i / 4);
  return { at, ticks: ticks.map((t) => logarithmic ? 10 ** t : t) };
}

function showSpread() {
  const name = measure.value, groups = Object.keys(now().networks), claim = data.claims[name];
  const width = 620, height = 30, left = 190, chosen = data.networks.filter((n) => n.values[name]);
  const values = chosen.flatMap((n) => n.values[name].slice(0, 2)).filter((x) => x !== null);
  const box = document.getElementById("spread");
  document.getElementById("picked").textContent = "";
  document.getElementById("spread-note").textContent = claim
    ? `${claim.statement} Filled: the effect (${claim.effect}). Open: the control (${claim.control}). Lines: from where it holds, and holds in part.`
    : `${name}: one dot a network. Choose a dot for its command.`;
  if (!values.length) { box.replaceChildren(element("p", "No network has this number.")); document.getElementById("spread-table").replaceChildren(); return; }
  const positive = Math.min(...values) > 0, wide = positive && Math.max(...values) / Math.min(...values) > 50;
  const limits = claim ? [claim.holds, claim.part].filter((x) => x !== null && (!wide || x > 0)) : [];
  const scale = scaleOf([...values, ...limits], wide);
  const svg = drawn("svg", { width: left + width + 20, height: height * groups.length + 28 });
  groups.forEach((group, row) => {
    const y = row * height + height / 2;
    svg.append(drawn("text", { x: 0, y: y + 4 }, group.length > 30 ? `${group.slice(0, 29)}…` : group));
    svg.append(drawn("line", { x1: left, x2: left + width, y1: y, y2: y, stroke: "var(--grid)" }));
    chosen.filter((n) => n.groups[by.value] === group).forEach((n, i) => {
      const [value, control, verdict] = n.values[name], jitter = ((i * 7) % 11 - 5) * 1.6;
      if (control !== null) svg.append(drawn("circle", { class: "dot open", cx: left + width * scale.at(control), cy: y + jitter, r: 3 }));
      if (value === null) return;
      const dot = drawn("circle", { class: "dot", cx: left + width * scale.at(value), cy: y + jitter, r: 4.2, fill: COLOURS[verdict] || "var(--accent)", tabindex: 0, role: "button", "aria-label": `${n.recipe}: ${number(value)}` });
      dot.append(drawn("title", {}, `${n.recipe}\n${number(value)}${verdict ? `, ${verdict}` : ""}`));
      const pick = () => { const p = document.getElementById("picked"); p.replaceChildren(`${n.recipe}: ${number(value)}${verdict ? `, ${verdict}` : ""} `, element("code", n.command || n.key)); };
      dot.addEventListener("click", pick);
      dot.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); pick(); } });
      svg.append(dot);
    });
  });
  for (const limit of limits) svg.append(drawn("line", { x1: left + width * scale.at(limit), x2: left + width * scale.at(limit), y1: 0, y2: height * groups.length, stroke: "var(--ink)", "stroke-dasharray": "3 3" }));
  scale.ticks.forEach((t) => svg.append(drawn("text", { x: left + width * scale.at(t), y: height * groups.length + 18, "text-anchor": "middle" }, number(t))));
  box.replaceChildren(svg);
  const spreads = now().spreads[name] || [], controls = now().controls[name] || [];
  const rows = spreads.map((one) => {
    const control = controls.find((c) => c.group === one.group);
    return [one.group, `${one.reached.count} of ${one.reached.of}`, number(one.low), number(one.quartile), number(one.median), number(one.upper_quartile), number(one.high), number(control && control.median)];
  });
  document.getElementById("spread-table").replaceChildren(tableOf(["group", "have it", "least", "quartile", "median", "quartile", "most", "control"], rows));
}

function showCourse() {
  const rows = Object.keys(now().networks).map((group) => [group, ...data.course.map((name) => {
    const one = (now().spreads[name] || []).find((s) => s.group === group);
    if (!one || !one.reached.count) return `– (0 of ${now().networks[group]})`;
    return `${number(one.median)} (${number(one.low)} to ${number(one.high)}); ${one.reached.count} of ${one.reached.of}`;
  })]);
  document.getElementById("course").replaceChildren(tableOf(["group", ...data.course], rows));
}

function showOutliers() {
  const rows = now().outliers.slice(0, 60).map((one) => {
    const network = data.networks.find((n) => n.key === one.network);
    return [label(one.measure), one.group, number(one.value), number(one.median), number(one.distance), element("code", network.command || network.recipe)];
  });
  document.getElementById("outliers").replaceChildren(rows.length ? tableOf(["measure", "group", "value", "median", "deviations", "opens with"], rows) : element("p", "None, or no group is large enough to tell."));
}

function show() { showShares(); showSpread(); showCourse(); showOutliers(); }

for (const name of Object.keys(data.groupings)) by.append(element("option", name || "nothing: all networks", { value: name }));
for (const name of data.measures) measure.append(element("option", label(name), { value: name }));
by.value = data.by;
by.addEventListener("change", show);
measure.addEventListener("change", showSpread);
show();
