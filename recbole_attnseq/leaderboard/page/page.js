"use strict";
const report = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const NAMES = { recall: "Recall", ndcg: "NDCG", mrr: "MRR", hit: "Hit", precision: "Precision", f1: "F1",
  itemcoverage: "Coverage", giniindex: "Gini index", averagepopularity: "Popularity", tailpercentage: "Tail share" };
const SMALLER = new Set(["giniindex", "averagepopularity", "epochs", "epoch", "processor", "memory", "parameters"]);
const named = (row) => row.name + (row.bucketed ? " §" : "") + (row.coarse ? " ‡" : "");
const isTest = (key) => key.startsWith("versus ") || key.startsWith("p ");
const smaller = (key) => SMALLER.has(key) || key.startsWith("p ");
const state = { dataset: "", columns: "accuracy", cutoff: "10", sort: {}, lit: {} };

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const shown = (metric) => { const [name, k] = metric.split("@"); return `${NAMES[name] || name}@${k}`; };
const four = (value) => value.toFixed(4);
const signed = (value) => (value >= 0 ? "+" : "−") + Math.abs(value).toFixed(4);
const grouped = (value) => Math.round(value).toLocaleString("en");
const title = (table) => (table.board === table.dataset ? table.dataset : `${table.dataset} (${table.board})`);
const filled = (table) => table.rows.filter((row) => row.runs.length);
const colour = (index) => `var(--c${index % 8})`;
const dash = (index) => ["none", "6 3", "2 3"][Math.floor(index / 8) % 3];

/* ---- tables ---- */

function columnsOf(table) {
  const at = (name) => `${name}@${state.cutoff}`;
  const metric = (name) => ({
    key: name, label: shown(at(name)), value: (row) => (row.metrics[at(name)] ? row.metrics[at(name)][0] : null),
    text: (row) => {
      const pair = row.metrics[at(name)];
      if (!pair) return "not kept";
      const mean = name === "averagepopularity" ? pair[0].toFixed(1) : four(pair[0]);
      return mean + (pair[1] === null ? "" : ` ± ${name === "averagepopularity" ? pair[1].toFixed(1) : four(pair[1])}`);
    },
  });
  const cost = (key, label, text) => ({ key, label, value: (row) => row.cost[key], text: (row) => text(row.cost[key]) });
  if (state.columns === "items") return ["itemcoverage", "giniindex", "averagepopularity", "tailpercentage"].map(metric);
  if (state.columns === "cost") {
    return [cost("epochs", "Epochs", grouped), cost("epoch", "s an epoch", (v) => v.toFixed(2)),
      cost("processor", "s in all", grouped), cost("processors", "processor", (name) => name), cost("memory", "peak MiB", grouped), cost("parameters", "parameters", grouped)];
  }
  const here = table.compared.filter((name) => name.endsWith(`@${state.cutoff}`));
  const against = (here.length ? here : table.compared.slice(0, 1)).flatMap((tested) => {
    const versus = (row) => row.versus[tested];
    return [
      { key: `versus ${tested}`, label: `against the best other row (${shown(tested)})`, text: (row) => {
        const found = versus(row);
        if (!found) return "only row";
        return `${signed(found.difference)} [${signed(found.low)}, ${signed(found.high)}] ${found.other}${found.significant ? "" : " ≈"}`;
      }, value: (row) => (versus(row) ? versus(row).difference : null) },
      { key: `p ${tested}`, label: `p (${shown(tested)})`, value: (row) => (versus(row) ? versus(row).holm : null),
        text: (row) => (versus(row) ? four(versus(row).holm) : "") }];
  });
  return [...["ndcg", "recall"].map(metric), ...against,
    ...["mrr", "hit", "precision", "f1"].map(metric)];
}

function recordsCell(row) {
  const runs = row.runs.map((run) => make("div", {},
    make("a", { href: run.file }, `seed ${run.seed}`), ` at commit ${run.commit}`, make("code", {}, run.command)));
  return make("td", { class: "text" }, make("details", {}, make("summary", {}, `${runs.length} record${runs.length > 1 ? "s" : ""}`), ...runs));
}

function mainTable(table) {
  const columns = [
    { key: "name", label: "Model", value: (row) => row.name.toLowerCase(), text: (row) => row.name },
    { key: "seeds", label: "Seeds", value: (row) => row.runs.length,
      text: (row) => (row.empty.length ? `${row.runs.length} of ${row.runs.length + row.empty.length}` : `${row.runs.length}`) },
    ...columnsOf(table)];
  const key = title(table);
  const order = state.sort[key] || { key: columns.some((c) => c.key === "ndcg") ? "ndcg" : columns[2].key, down: state.columns !== "cost" };
  const by = columns.find((column) => column.key === order.key) || columns[2];
  const full = filled(table).slice().sort((a, b) => {
    const [x, y] = [by.value(a), by.value(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return (x < y ? -1 : x > y ? 1 : 0) * (order.down ? -1 : 1);
  });
  const head = columns.map((column) => {
    const here = column.key === by.key;
    const sign = here ? (order.down ? " ▼" : " ▲") : "";
    return make("th", { scope: "col", "aria-sort": here ? (order.down ? "descending" : "ascending") : "none" },
      make("button", { type: "button", "data-key": column.key, onclick: () => {
        const down = here ? !order.down : !(smaller(column.key) || ["name", "processors"].includes(column.key));
        state.sort[key] = { key: column.key, down };
        render();
        document.querySelector(`section[data-title="${CSS.escape(key)}"] button[data-key="${CSS.escape(column.key)}"]`).focus();
      } }, column.label + sign));
  });
  const best = new Map(columns.slice(2).filter((c) => !isTest(c.key) && c.key !== "processors").map((column) => {
    const values = full.map(column.value).filter((value) => value !== null);
    return [column.key, smaller(column.key) ? Math.min(...values) : Math.max(...values)];
  }));
  const body = full.map((row) => make("tr", { class: row.model === "AttnSeq" ? "ours" : null },
    make("th", { scope: "row" }, named(row)),
    ...columns.slice(1).map((column) => make("td", { class: best.get(column.key) === column.value(row) ? "best" : null }, column.text(row))),
    recordsCell(row)));
  for (const row of table.rows.filter((one) => !one.runs.length)) {
    const why = [...new Set(row.empty.map(([, reason]) => reason))].join("; ");
    body.push(make("tr", { class: "empty" }, make("th", { scope: "row" }, row.name),
      make("td", { colspan: columns.length, class: "text quiet" }, `empty: ${why}`)));
  }
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Table of ${key}` },
    make("table", {}, make("thead", {}, make("tr", {}, ...head, make("th", { scope: "col", class: "plain" }, "Records"))),
      make("tbody", {}, ...body)));
}

function plainTable(head, rows, label) {
  return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col", class: "plain" }, text)))),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, make("th", { scope: "row" }, cells[0]),
      ...cells.slice(1).map((cell) => make("td", {}, cell)))))));
}

/* ---- charts ---- */

// A phone gets a narrower drawing, not a smaller one: its letters stay readable.
const W = window.matchMedia("(max-width: 40rem)").matches ? 360 : 480;
const H = 300, LEFT = 52, RIGHT = 14, TOP = 12, BOTTOM = 40;

function ticks(low, high, count = 5) {
  const step0 = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(step0));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= step0);
  const result = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) result.push(tick);
  return result;
}

function frame(label, yLow, yHigh, yText) {
  const y = (value) => H - BOTTOM - ((value - yLow) / (yHigh - yLow || 1)) * (H - TOP - BOTTOM);
  const svg = draw("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": label });
  for (const tick of ticks(yLow, yHigh)) {
    svg.append(draw("line", { class: "axis", x1: LEFT, x2: W - RIGHT, y1: y(tick), y2: y(tick) }),
      draw("text", { class: "quiet", x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end" }, yText(tick)));
  }
  return { svg, y };
}

function under(svg, x, text) {
  svg.append(draw("text", { class: "quiet", x, y: H - BOTTOM + 18, "text-anchor": "middle" }, text));
}

function figure(name, caption, svg, table, extra = []) {
  return make("figure", { "data-chart": name }, make("h3", {}, caption), svg, ...(table ? [legend(table)] : []), ...extra);
}

/* A press keeps a row's marks and fades the others, in all charts of its table. */
function legend(table) {
  const key = title(table);
  return make("ul", { class: "legend" }, ...filled(table).map((row, index) => {
    const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colour(index);
    return make("li", {}, make("button", { type: "button", "aria-pressed": String((state.lit[key] || new Set()).has(row.name)),
      "data-row": row.name, onclick: (event) => {
        const lit = (state.lit[key] = state.lit[key] || new Set());
        if (!lit.delete(row.name)) lit.add(row.name);
        light(event.target.closest("section"), lit);
      } }, swatch, row.name));
  }));
}

function light(section, lit) {
  for (const mark of section.querySelectorAll("[data-mark]")) {
    mark.classList.toggle("faded", lit.size > 0 && !lit.has(mark.dataset.mark));
  }
  for (const button of section.querySelectorAll(".legend button")) {
    button.setAttribute("aria-pressed", String(lit.has(button.dataset.row)));
  }
}

function timePlot(table, metric) {
  const points = filled(table).map((row, index) => ({ row, index, x: Math.max(0.1, row.cost.processor), y: row.metrics[metric][0] }));
  const [low, high] = [Math.floor(Math.log10(Math.min(...points.map((p) => p.x)))), Math.ceil(Math.log10(Math.max(...points.map((p) => p.x)) * 1.01))];
  const x = (value) => LEFT + 10 + ((Math.log10(value) - low) / (high - low || 1)) * (W - LEFT - RIGHT - 20);
  const top = Math.max(...points.map((p) => p.y)) * 1.08;
  const { svg, y } = frame(`${shown(metric)} against processor seconds of training`, 0, top, (v) => v.toFixed(2));
  for (let power = low; power <= high; power++) under(svg, x(10 ** power), power < 0 ? (10 ** power).toFixed(-power) : grouped(10 ** power));
  svg.append(draw("text", { class: "quiet", x: W / 2, y: H - 6, "text-anchor": "middle" }, "processor seconds of training, logarithmic"));
  const taken = [];
  for (const point of points.sort((a, b) => b.y - a.y)) {
    const [px, py] = [x(point.x), y(point.y)];
    const text = `${point.row.name}: ${four(point.y)} in ${grouped(point.x)} s`;
    const dot = draw("circle", { cx: px, cy: py, r: 5, tabindex: "0", role: "img", "aria-label": text }, draw("title", {}, text));
    dot.style.fill = colour(point.index);
    const left = px > W * 0.66;
    const box = { x: left ? px - 8 - point.row.name.length * 7 : px + 8, y: py, w: point.row.name.length * 7 };
    const free = taken.every((other) => Math.abs(other.y - box.y) > 13 || other.x + other.w < box.x || box.x + box.w < other.x);
    const group = draw("g", { "data-mark": point.row.name }, dot);
    if (free) {
      taken.push(box);
      group.append(draw("text", { x: left ? px - 8 : px + 8, y: py + 4, "text-anchor": left ? "end" : "start" }, point.row.name));
    }
    svg.append(group);
  }
  return figure("time", `${shown(metric)} against training time`, svg, null);
}

function lines(table, name, caption, label, series, xOf, xTicks, yHigh, xName) {
  const { svg, y } = frame(label, 0, yHigh * 1.05 || 1, (v) => v.toFixed(yHigh < 0.05 ? 3 : 2));
  for (const [at, text] of xTicks) under(svg, at, text);
  if (xName) svg.append(draw("text", { class: "quiet", x: W / 2, y: H - 6, "text-anchor": "middle" }, xName));
  for (const { row, index, points } of series) {
    const group = draw("g", { "data-mark": row.name });
    const path = points.map(([px, value], i) => `${i ? "L" : "M"}${xOf(px).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    const line = draw("path", { class: "mark", d: path, "stroke-dasharray": dash(index) }, draw("title", {}, row.name));
    line.style.stroke = colour(index);
    group.append(line);
    if (points.length < 8) {
      for (const [px, value] of points) {
        const dot = draw("circle", { cx: xOf(px), cy: y(value), r: 3 }, draw("title", {}, `${row.name}: ${four(value)}`));
        dot.style.fill = colour(index);
        group.append(dot);
      }
    }
    svg.append(group);
  }
  return figure(name, caption, svg, table);
}

function curves(table) {
  const series = filled(table).map((row, index) => ({ row, index, points: row.runs[0].curve.map(([epoch, valid]) => [epoch + 1, valid]) }));
  const drawn = series.filter((one) => one.points.length > 1);
  if (!drawn.length) return null;
  const last = Math.max(...drawn.map((one) => one.points[one.points.length - 1][0]));
  const x = (epoch) => LEFT + ((epoch - 1) / Math.max(1, last - 1)) * (W - LEFT - RIGHT);
  const high = Math.max(...drawn.flatMap((one) => one.points.map(([, v]) => v)));
  const marks = ticks(1, last).map((epoch) => [x(epoch), String(epoch)]);
  return lines(table, "curves", "Validation score by epoch, first seed", "Validation score by epoch", drawn, x, marks, high, "epoch");
}

function groupsChart(table, kind, metric, caption) {
  const groups = table[`${kind}_groups`];
  if (!groups) return null;
  const series = filled(table).filter((row) => row[kind]).map((row) => ({ row, index: filled(table).indexOf(row),
    points: row[kind][metric].map((value, place) => [place, value]).filter(([, value]) => value !== null) }));
  const x = (place) => LEFT + 24 + (place / Math.max(1, groups.length - 1)) * (W - LEFT - RIGHT - 48);
  const high = Math.max(...series.flatMap((one) => one.points.map(([, v]) => v)), 0.001);
  const chart = lines(table, kind, caption, caption, series, x, groups.map(([name], place) => [x(place), name]), high, "");
  const rows = series.map(({ row }) => [row.name, ...row[kind][metric].map((value) => (value === null ? "no targets" : four(value)))]);
  chart.append(make("details", {}, make("summary", {}, "The same as a table"),
    plainTable(["Model", ...groups.map(([name, count]) => `${name} (${grouped(count)})`)], rows, caption)));
  return chart;
}

function ablationChart(group, near) {
  const bars = group.bars.filter((b) => b.near === near), bar = 24, left = 210;
  if (bars.every((b) => b.name.startsWith("the default"))) return [];
  const high = Math.max(...bars.map((b) => b.valid));
  const svg = draw("svg", { viewBox: `0 0 ${W} ${bars.length * bar + 8}`, role: "img",
    "aria-label": `${shown(group.metric)} on validation of ${bars.length} trials on ${group.dataset}` });
  bars.forEach((b, index) => {
    const rect = draw("rect", { x: left, y: index * bar + 4, height: bar - 8, width: Math.max(1, (b.valid / high) * (W - left - 60)) },
      draw("title", {}, `${b.name}, ${b.files.length} ${b.files.length > 1 ? "seeds" : "seed"}: validation ${four(b.valid)} (${four(b.low)} to ${four(b.high)}), test ${four(b.test)}${b.differs ? `; ${b.differs}` : ""}`));
    rect.style.fill = colour(b.name === "the default" ? 1 : 0);
    const link = draw("a", { href: b.files[0][1] }, draw("text", { x: left - 6, y: index * bar + bar / 2 + 4, "text-anchor": "end",
      "text-decoration": "underline" }, b.name));
    svg.append(link, rect, draw("text", { x: left + (b.valid / high) * (W - left - 60) + 6, y: index * bar + bar / 2 + 4 }, four(b.valid)));
  });
  const what = near ? "the default and what one change does" : "other trials";
  return [figure("ablation", `${group.dataset}, among ${group.candidates}: ${what}, ${shown(group.metric)} on validation`, svg, null)];
}

/* ---- the page ---- */

function about(table) {
  if (!table.split) return "No results yet.";
  const counts = table.users ? `${grouped(table.users)} users, ${grouped(table.items)} items, ${grouped(table.interactions)} interactions; ` : "";
  const history = table.protocol.exclude_history ? "what the user took before is left out" : "what was seen stays in";
  return `${counts}${grouped(table.targets)} test targets, ranked among ${table.protocol.candidates === "full" ? "all items" : table.protocol.candidates}; ${history}; split ${table.split}.`;
}

function publishedTable(table) {
  if (!table.published.length) return [];
  const names = [...new Set(table.published.flatMap((row) => Object.keys(row.metrics)))];
  const rows = table.published.map((row) => [row.model, ...names.map((n) => (n in row.metrics ? four(row.metrics[n]) : "")), row.from]);
  return [make("h3", {}, "Reported by others on these data with this protocol, not measured here"),
    plainTable(["Model", ...names.map(shown), "By"], rows, `Figures reported by others for ${title(table)}`)];
}

function section(table) {
  const metric = table.compared[0];
  const node = make("section", { "data-dataset": table.dataset, "data-title": title(table) },
    make("h2", {}, title(table)), make("p", { class: "quiet" }, about(table)), mainTable(table));
  if (filled(table).length) {
    node.append(make("div", { class: "charts" }, timePlot(table, metric), curves(table),
      groupsChart(table, "history", metric, `${shown(metric)} by length of the history`),
      groupsChart(table, "popularity", metric, `${shown(metric)} by popularity of the target`)));
  }
  node.append(...publishedTable(table));
  const missing = table.rows.filter((row) => row.runs.length && row.empty.length);
  for (const row of missing) node.append(make("p", { class: "quiet" }, `${row.name}: ${row.empty.map(([seed, why]) => `seed ${seed} is empty (${why})`).join(", ")}.`));
  for (const note of table.notes) node.append(make("p", { class: "quiet" }, note));
  light(node, state.lit[title(table)] || new Set());
  return node;
}

/* AttnSeq against others: what LEADERBOARD.md begins with. */
function summaries() {
  return [...summary("rivals", "AttnSeq against the best of the others", "AttnSeq by default, then the row of its that validation prefers, in brackets. Its rival is the best model of others on test; “of” counts the rows of theirs that have run. The first interval and p are over other users, the second over other users and other seeds; each p is corrected for its column. † not all on one kind of processor."),
  ...summary("planned", "Comparisons that were planned", "The row of AttnSeq that validation prefers against the best of the rivals that a board names beforehand. Each p is corrected for this table alone.")];
}

function summary(of, name, text) {
  const rows = report[of].rows.filter(([dataset]) => !state.dataset || dataset === state.dataset).map(([, cells]) => cells);
  if (!rows.length) return [];
  return [make("div", { id: of }, make("h2", {}, name), make("p", { class: "quiet" }, text), plainTable(report[of].heads, rows, name))];
}

function render() {
  const tables = report.tables.filter((table) => !state.dataset || table.dataset === state.dataset);
  document.getElementById("tables").replaceChildren(...summaries(), ...tables.map(section));
  const rows = tables.reduce((sum, table) => sum + table.rows.length, 0);
  document.getElementById("status").textContent = `${tables.length} table${tables.length === 1 ? "" : "s"}, ${rows} rows.`;
}

function start() {
  const names = [...new Set(report.tables.map((table) => table.dataset))];
  document.getElementById("dataset").append(make("option", { value: "" }, "all"), ...names.map((name) => make("option", { value: name }, name)));
  for (const id of ["dataset", "columns", "cutoff"]) {
    document.getElementById(id).addEventListener("change", (event) => {
      state[id] = event.target.value;
      if (id === "columns") state.sort = {};
      render();
    });
  }
  document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
  const rows = report.tables.flatMap((table) => table.rows);
  const there = { RecentPop: rows.some((row) => row.model === "RecentPop"), bucketed: rows.some((row) => row.bucketed),
    coarse: rows.some((row) => row.coarse) };
  for (const words of document.querySelectorAll("[data-when]")) words.hidden = !there[words.dataset.when];
  render();
  const rest = document.getElementById("rest");
  if (report.ablation.length) {
    rest.append(make("h2", {}, "Trials that informed a choice"), make("div", { class: "charts" }, ...report.ablation.flatMap((group) => [true, false].flatMap((near) => ablationChart(group, near)))));
  }
  if (report.skipped.length) {
    rest.append(make("h2", {}, "Left out"), make("p", {}, `${report.skipped.length} files could not be used and count nowhere:`),
      make("ul", {}, ...report.skipped.map((line) => make("li", {}, line))));
  }
}

start();
