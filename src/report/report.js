// Sorts, searches, draws and plays. Everything that comes from a transcript or a file name
// enters the page as text or as an attribute's value, never as HTML.
"use strict";

const PAGE = 50; // rows shown at once, whatever the size of the set
const UNSURE = 0.6; // words below are underlined
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}
function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const percent = (rate, digits = 1) => (100 * rate).toFixed(digits) + "\u2009%";
const whole = (count) => count.toLocaleString("en");
const plural = (count, word) => `${whole(count)} ${word}${count === 1 ? "" : "s"}`;
function span(seconds) {
  if (seconds < 90) return `${seconds.toFixed(1)} s`;
  return seconds < 5400 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(2)} h`;
}

// ---- rows ---------------------------------------------------------------------------------
const rows = data.rows.map((row, order) => {
  const scored = row.ops !== undefined;
  let errors = 0, length = 0;
  for (const edit of row.ops ?? "") {
    errors += edit !== "=";
    length += edit !== "I";
  }
  return {
    ...row, order, length,
    errors: scored ? errors : undefined,
    wer: scored ? errors / Math.max(length, 1) : undefined,
  };
});
const have = (key) => rows.some((row) => row[key] !== undefined);
const split = (text) => (text ? text.split(" ") : []);

// [edit, said, heard, index of the heard word] of each aligned word
function aligned(row) {
  const said = split(row.ref), heard = split(row.hyp);
  if (row.ops === undefined) return heard.map((word, index) => ["", "", word, index]);
  let left = 0, right = 0;
  return [...row.ops].map((edit) => [
    edit,
    edit === "I" ? "" : said[left++],
    edit === "D" ? "" : heard[right],
    edit === "D" ? -1 : right++,
  ]);
}

// What a search looks into: name and both texts, then each edit between bars.
const SIGNS = { S: (said, heard) => `${said}\u2192${heard}`, D: (said) => `\u2212${said}`, I: (_, heard) => `+${heard}` };
function searchable(row) {
  if (row.searchable === undefined) {
    const edits = aligned(row).filter(([edit]) => SIGNS[edit]).map(([edit, said, heard]) => SIGNS[edit](said, heard));
    row.searchable = [row.id, row.ref ?? "", row.hyp, `|${edits.join("|")}|`].join("\n").toLowerCase();
  }
  return row.searchable;
}

// ---- the table ----------------------------------------------------------------------------
// `first` is the direction of the first click; a phone has no columns but `before` and `after`.
const COLUMNS = [
  { key: "id", name: "Utterance", first: 1 },
  { key: "transcript", name: "Transcript" },
  { key: "wer", name: "WER", first: -1, before: "WER", show: (row) => percent(row.wer) },
  { key: "errors", name: "Errors", first: -1, after: "errors", show: (row) => `${row.errors}\u2009/\u2009${row.length}` },
  { key: "dur", name: "Seconds", first: -1, after: "s", show: (row) => row.dur.toFixed(1) },
  { key: "conf", name: "Confidence", first: 1, after: "sure", show: (row) => percent(row.conf, 0) },
].filter((column) => !column.show || have(column.key));
const collator = new Intl.Collator("en", { numeric: true });

// worst first; without references, the least sure first
const state = { query: "", onlyErrors: false, page: 0, key: null, direction: 1, shown: rows };
[state.key, state.direction] = have("wer") ? ["wer", -1] : have("conf") ? ["conf", 1] : [null, 1];

function compare(one, other) {
  const { key, direction } = state, a = one[key], b = other[key];
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  const difference = key === "id" ? collator.compare(a, b) : a - b;
  // among equally bad rates the one with more errors counts more
  return direction * (difference || (key === "wer" ? one.errors - other.errors : 0));
}

let ordered = rows; // all of them, so that a search need not sort
function sort() {
  ordered = state.key ? [...rows].sort(compare) : rows;
  refresh();
}

function refresh() {
  let query = state.query.trim().toLowerCase();
  if (/^[\u2212+]|\u2192/.test(query)) query = `|${query}|`;
  state.shown = ordered.filter((row) => (!query || searchable(row).includes(query)) && (!state.onlyErrors || row.errors > 0));
  state.page = 0;
  show();
}

function show() {
  const from = state.page * PAGE, total = state.shown.length;
  const page = state.shown.slice(from, from + PAGE);
  const body = $("table").tBodies[0];
  body.replaceChildren(...page.map(tableRow));
  if (!total) {
    const text = rows.length ? "Nothing matches." : "No transcripts.";
    body.append(element("tr", { role: "row" }, element("td", { role: "cell", class: "empty", colspan: COLUMNS.length }, text)));
  }
  $("position").textContent = total > PAGE
    ? `${whole(from + 1)}\u2013${whole(from + page.length)} of ${whole(total)}` : plural(total, "utterance");
  $("previous").hidden = $("next").hidden = total <= PAGE;
  $("previous").disabled = from === 0;
  $("next").disabled = from + PAGE >= total;
  for (const header of $("table").tHead.rows[0].cells) {
    if (header.dataset.key === state.key) {
      header.setAttribute("aria-sort", state.direction > 0 ? "ascending" : "descending");
    } else header.removeAttribute("aria-sort");
  }
}

function tableRow(row) {
  const name = element("td", { role: "cell", class: "id" }, element("span", {}, row.id));
  const words = [];
  const transcript = element("td", { role: "cell", class: "transcript", dir: "auto" }, ...transcriptOf(row, words));
  if (row.src) {
    const play = element("button", { type: "button", class: "play", "aria-label": `Play ${row.id}` }, "Play");
    const player = () => {
      if (!row.src || play.hidden) return transcript.querySelector("audio");
      play.hidden = true;
      return addPlayer(row, transcript, words);
    };
    play.addEventListener("click", () => { const audio = player(); audio.focus(); start(audio); });
    name.append(play);
    if (row.words) {
      transcript.classList.add("seekable");
      transcript.addEventListener("click", (event) => {
        const index = words.indexOf(event.target.closest(".word"));
        if (index < 0 || row.words[index][0] === null) return;
        const audio = player();
        audio.currentTime = row.words[index][0];
        start(audio);
      });
    }
  }
  const numbers = COLUMNS.filter((column) => column.show).map((column) =>
    element("td", { role: "cell", class: "number", "data-before": column.before, "data-after": column.after },
      row[column.key] === undefined ? "\u2013" : column.show(row)));
  return element("tr", { role: "row" }, name, transcript, ...numbers);
}

function transcriptOf(row, words) {
  const parts = [];
  for (const [edit, said, heard, index] of aligned(row)) {
    if (parts.length) parts.push(" ");
    if (edit === "D") {
      parts.push(element("del", { class: "deleted", title: `left out: ${said}` }, said));
      continue;
    }
    const word = heardWord(heard, row.words?.[index]);
    words[index] = word;
    if (edit === "S") parts.push(element("span", { class: "sub" }, element("del", {}, said), element("ins", {}, word)));
    else if (edit === "I") parts.push(element("ins", { class: "inserted" }, word));
    else parts.push(word);
  }
  return parts.length ? parts : [element("span", { class: "empty" }, row.ref === undefined ? "nothing heard" : "silence, heard as silence")];
}

function heardWord(text, known) {
  const [from, to, sure] = known ?? [null, null, null];
  const facts = [];
  if (sure !== null) facts.push(`${percent(sure, 0)} sure`);
  if (from !== null && to !== null) facts.push(`${from.toFixed(2)}\u2013${to.toFixed(2)} s`);
  const unsure = sure !== null && sure < UNSURE ? " unsure" : "";
  return element("span", { class: "word" + unsure, title: facts.join(", ") || null }, text);
}

// ---- audio --------------------------------------------------------------------------------
function addPlayer(row, cell, words) {
  const audio = element("audio", { controls: "", preload: "none", src: row.src, "aria-label": `Recording ${row.id}` });
  audio.addEventListener("error", () => audio.replaceWith(element("p", { class: "note" }, "The recording cannot be played from here.")));
  audio.addEventListener("play", () => { // one at a time
    for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
  });
  if (row.words) {
    let now = null;
    const follow = () => {
      const time = audio.currentTime;
      const index = audio.paused ? -1 : row.words.findIndex(([from, to]) => from <= time && time < to);
      if (words[index] === now) return;
      now?.classList.remove("now");
      now = words[index] ?? null;
      now?.classList.add("now");
    };
    audio.addEventListener("timeupdate", follow);
    audio.addEventListener("pause", follow);
  }
  cell.append(audio);
  return audio;
}
function start(audio) {
  audio?.play().catch(() => {}); // the element's own error event says what is wrong
}

// ---- the head -----------------------------------------------------------------------------
function drawHead() {
  const first = data.summary[0] ?? {};
  const seconds = rows.reduce((sum, row) => sum + (row.dur ?? 0), 0);
  $("subtitle").textContent = [
    first.decoder !== document.title ? first.decoder : null,
    plural(rows.length, "utterance"), seconds ? `${span(seconds)} of audio` : null,
  ].filter(Boolean).join(" \u00b7 ");
  if (first.wer === undefined) return;
  const between = (ends) => (ends ? `95\u2009%: ${percent(ends[0])} \u2013 ${percent(ends[1])}` : "");
  const faultless = rows.filter((row) => row.errors === 0).length, scored = rows.filter((row) => row.ops !== undefined).length;
  const kinds = ["substitutions", "deletions", "insertions"];
  $("tiles").append(
    tile("Word error rate", percent(first.wer, 2), between(first.wer_interval)),
    tile("Character error rate", percent(first.cer, 2), between(first.cer_interval) || `of ${plural(first.words, "word")}`),
    tile("Word errors", whole(kinds.reduce((sum, kind) => sum + first[kind], 0)),
      kinds.map((kind) => `${whole(first[kind])}\u00a0${kind.slice(0, 3)}`).join(", ")),
    tile("Without an error", percent(faultless / Math.max(scored, 1)), `${whole(faultless)} of ${whole(scored)}`),
  );
  $("tiles").hidden = false;
  if (data.summary.length > 1) drawDecoders();
}
function tile(name, value, note) {
  return element("div", { class: "tile" }, element("span", { class: "name" }, name), element("b", {}, value), element("span", {}, note));
}
function drawDecoders() {
  const kinds = ["substitutions", "deletions", "insertions"];
  $("decoders").append(element("div", { class: "card scroll" }, element("h2", {}, "Decoders"),
    smallTable(["", "WER", "95\u2009% interval", "CER", ...kinds.map((kind) => kind.slice(0, 3))],
      data.summary.filter((of) => of.wer !== undefined).map((of) => [
        of.decoder, percent(of.wer, 2), of.wer_interval.map((end) => percent(end)).join(" \u2013 "), percent(of.cer, 2), ...kinds.map((kind) => whole(of[kind])),
      ]), "edits")));
  $("decoders").hidden = false;
}
function smallTable(names, lines, kind = "") {
  const cells = (tag, values) => values.map((value, column) => element(tag, { class: column ? "number" : null, scope: tag === "th" ? "col" : null }, value));
  return element("table", { class: `small ${kind}` },
    element("thead", {}, element("tr", {}, ...cells("th", names))),
    element("tbody", {}, ...lines.map((line) => element("tr", {}, ...cells("td", line)))));
}
function drawFailures() {
  if (!data.failures.length) return;
  const count = data.failures.length;
  $("failures").append(element("details", { class: "card", ...(count <= 5 ? { open: "" } : {}) },
    element("summary", {}, `${plural(count, "recording")} could not be read`),
    element("ul", {}, ...data.failures.map(([name, error]) => element("li", {}, `${name}: ${error}`)))));
  $("failures").hidden = false;
}

// ---- figures ------------------------------------------------------------------------------
const BOX = { width: 360, height: 265, left: 40, right: 8, top: 10, bottom: 36 };
// One unit is one pixel at the width that a card has when the page opens.
function fit(cards) {
  $("figures").hidden = false; // what is hidden has no width
  const width = $("figures").clientWidth, columns = Math.max(1, Math.min(cards, Math.floor(width / 332)));
  BOX.width = Math.max(280, (width - 12 * (columns - 1)) / columns - 38);
}
function axes(label, xMax, yMax, xName, xShow, yShow) {
  const x = (value) => BOX.left + (BOX.width - BOX.left - BOX.right) * value / xMax;
  const y = (value) => BOX.height - BOX.bottom - (BOX.height - BOX.top - BOX.bottom) * value / yMax;
  const svg = shape("svg", { viewBox: `0 0 ${BOX.width} ${BOX.height}`, role: "img", "aria-label": label });
  for (const value of ticks(yMax)) {
    svg.append(shape("path", { class: "grid", d: `M${BOX.left} ${y(value)}H${BOX.width - BOX.right}` }),
      shape("text", { x: BOX.left - 7, y: y(value) + 4, "text-anchor": "end" }, yShow(value)));
  }
  for (const value of ticks(xMax)) {
    svg.append(shape("text", { x: x(value), y: BOX.height - BOX.bottom + 16, "text-anchor": "middle" }, xShow(value)));
  }
  svg.append(shape("text", { x: (BOX.left + BOX.width - BOX.right) / 2, y: BOX.height - 3, "text-anchor": "middle" }, xName));
  return { svg, x, y };
}
function ticks(most) {
  const rough = most / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, index) => index * step);
}
const card = (name, note, ...content) => element("div", { class: "card" }, element("h2", {}, name), note, ...content);
const plain = (value) => String(Math.round(value * 100) / 100);

function drawScatter() {
  const timed = rows.filter((row) => row.wer !== undefined && row.dur !== undefined);
  const xOf = timed.length ? (row) => row.dur : (row) => row.length;
  const points = timed.length ? timed : rows.filter((row) => row.wer !== undefined);
  if (points.length < 2) return null;
  const most = points.reduce((max, row) => Math.max(max, xOf(row)), 0) || 1;
  const top = Math.min(Math.max(points.reduce((max, row) => Math.max(max, row.wer), 0), 0.1), 1.2);
  const what = timed.length ? "duration" : "length", unit = timed.length ? "seconds" : "words in the reference";
  const { svg, x, y } = axes(`Word error rate of each utterance against its ${what}`, most * 1.02, top, unit, plain, (value) => percent(value, 0));
  const yOf = (row) => y(Math.min(row.wer, top));
  svg.classList.add("scatter");
  svg.append(shape("path", { class: points.length > 500 ? "points many" : "points", d: points.map((row) => `M${x(xOf(row)).toFixed(1)} ${yOf(row).toFixed(1)}h0`).join("") }));

  // the line: the corpus rate of each eighth of the utterances, from the shortest to the longest
  const inOrder = [...points].sort((a, b) => xOf(a) - xOf(b)), bins = Math.min(8, Math.floor(points.length / 3));
  const trend = [];
  for (let bin = 0; bin < bins; bin++) {
    const part = inOrder.slice(Math.floor(bin * inOrder.length / bins), Math.floor((bin + 1) * inOrder.length / bins));
    const sum = (of) => part.reduce((total, row) => total + of(row), 0);
    trend.push(`${x(sum(xOf) / part.length).toFixed(1)} ${y(Math.min(sum((row) => row.errors) / Math.max(sum((row) => row.length), 1), top)).toFixed(1)}`);
  }
  if (trend.length > 1) svg.append(shape("path", { class: "trend", d: "M" + trend.join("L") }));

  const usual = `A dot an utterance, a line for their common rate${top === 1.2 ? "; rates above 120\u2009% at the top" : ""}.`;
  const note = element("p", { class: "note" }, usual), ring = shape("circle", { class: "near", r: 5, visibility: "hidden" });
  svg.append(ring);
  const nearest = (event) => {
    const box = svg.getBoundingClientRect(), scale = BOX.width / box.width;
    const px = (event.clientX - box.left) * scale, py = (event.clientY - box.top) * scale;
    let best = null, least = 400;
    for (const row of points) {
      const distance = (x(xOf(row)) - px) ** 2 + (yOf(row) - py) ** 2;
      if (distance < least) [best, least] = [row, distance];
    }
    return best;
  };
  const leave = () => { ring.setAttribute("visibility", "hidden"); note.textContent = usual; };
  svg.addEventListener("pointermove", (event) => {
    const row = nearest(event);
    if (!row) return leave();
    fill(ring, { cx: x(xOf(row)), cy: yOf(row), visibility: "visible" }, []);
    note.textContent = `${row.id}: ${percent(row.wer)} in ${plain(xOf(row))} ${unit}; click to see it`;
  });
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("click", (event) => { const row = nearest(event); if (row) search(row.id); });
  return card(`WER against ${what}`, note, svg);
}

function drawConfusions() {
  const found = data.confusions;
  if (!found || !(found.substitutions.length + found.deletions.length + found.insertions.length)) return null;
  const list = (name, items, sign) => element("div", {}, element("h3", {}, name), element("ul", {}, ...items.map((item) => {
    const words = item.slice(0, -1), count = item.at(-1);
    const shown = words.length > 1 ? `${words[0]} \u2192 ${words[1]}` : words[0];
    const button = element("button", { type: "button", title: `${shown}: show the ${plural(count, "case")}` }, element("span", {}, shown), element("span", {}, whole(count)));
    button.addEventListener("click", () => search(sign(words)));
    return element("li", {}, button);
  })));
  return card("Most frequent confusions", element("p", { class: "note" }, "Said \u2192 heard, how often; click one to see where."),
    element("div", { class: "confusions" },
      list("Substituted", found.substitutions, (words) => SIGNS.S(...words)),
      list("Left out", found.deletions, (words) => SIGNS.D(...words)),
      list("Added", found.insertions, ([word]) => SIGNS.I("", word))));
}

function drawCalibration() {
  const found = data.calibration;
  if (!found) return null;
  const count = found.bins.reduce((sum, bin) => sum + bin[2], 0), most = Math.max(...found.bins.map((bin) => bin[2]));
  const { svg, x, y } = axes("Share of correct words against the confidence in them", 1, 1, "confidence of a word", (value) => percent(value, 0), (value) => percent(value, 0));
  for (const [sure, , words] of found.bins) { // how many words, as bars behind
    const left = Math.min(Math.floor(sure * 10), 9) / 10;
    svg.append(shape("rect", { class: "bar", x: x(left) + 1, width: x(0.1) - x(0) - 2, y: y(0.3 * words / most), height: y(0) - y(0.3 * words / most) }));
  }
  svg.append(shape("path", { class: "diagonal", d: `M${x(0)} ${y(0)}L${x(1)} ${y(1)}` }),
    shape("path", { class: "trend", d: "M" + found.bins.map(([sure, right]) => `${x(sure)} ${y(right)}`).join("L") }));
  for (const [sure, right, words] of found.bins) {
    svg.append(shape("circle", { class: "mark", cx: x(sure), cy: y(right), r: 4.5 },
      shape("title", {}, `${plural(words, "word")}, ${percent(sure, 0)} sure, ${percent(right, 0)} correct`)));
  }
  return card("Confidence calibration",
    element("p", { class: "note" }, `Correct words by confidence; the dashes are the ideal. Expected calibration error: ${percent(found.error)}.`),
    svg,
    element("details", {}, element("summary", {}, `${plural(count, "word")} as a table`),
      smallTable(["Confidence", "Correct", "Words"], found.bins.map(([sure, right, words]) => [percent(sure), percent(right), whole(words)]))));
}

function drawLegend() {
  const item = (...content) => element("span", {}, ...content);
  if (have("ops")) {
    $("legend").append(
      item(element("span", { class: "sub" }, element("del", {}, "said"), element("ins", {}, "heard")), " substituted"),
      item(element("del", { class: "deleted" }, "said"), " left out"),
      item(element("ins", { class: "inserted" }, "heard"), " added"));
  }
  if (rows.some((row) => row.words?.some((word) => word[2] !== null))) {
    $("legend").append(item(element("span", { class: "unsure" }, "word"), ` below ${percent(UNSURE, 0)} sure`));
  }
}

// ---- what a user does ---------------------------------------------------------------------
function search(text) {
  $("search").value = text;
  state.query = text;
  refresh();
  $("search").scrollIntoView({ block: "start", behavior: "instant" });
}

$("table").tHead.append(element("tr", { role: "row" }, ...COLUMNS.map((column) => {
  const header = element("th", { role: "columnheader", scope: "col", class: column.show ? "number" : null, "data-key": column.key });
  if (!column.first) {
    header.textContent = column.name;
    return header;
  }
  const button = element("button", { type: "button", title: `Sort by ${column.name.toLowerCase()}` }, column.name);
  button.addEventListener("click", () => {
    state.direction = state.key === column.key ? -state.direction : column.first;
    state.key = column.key;
    sort();
  });
  header.append(button);
  return header;
})));
$("search").addEventListener("input", (event) => { state.query = event.target.value; refresh(); });
$("only-errors").hidden = !rows.some((row) => row.errors > 0);
$("only-errors").querySelector("input").addEventListener("change", (event) => { state.onlyErrors = event.target.checked; refresh(); });
const turn = (pages) => { state.page += pages; show(); $("table").scrollIntoView({ block: "start", behavior: "instant" }); };
$("previous").addEventListener("click", () => turn(-1));
$("next").addEventListener("click", () => turn(1));

drawHead();
if (have("wer")) {
  fit(1 + Boolean(data.confusions) + Boolean(data.calibration));
  const figures = [drawScatter(), drawConfusions(), drawCalibration()].filter(Boolean);
  $("figures").append(...figures);
  $("figures").hidden = !figures.length;
}
drawFailures();
drawLegend();
sort();

// what searches look into, made ready while nobody waits
(function prepare(from) {
  for (const row of rows.slice(from, from + 200)) searchable(row);
  if (from + 200 < rows.length) setTimeout(prepare, 0, from + 200);
})(0);
