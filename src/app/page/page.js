// Records, sends, shows, plays. Everything that comes from the server or from a file's name
// enters the page as text, never as HTML.
import { changes } from "./changes.js";
import { record, wav } from "./microphone.js";
import { peaksOf, Waveform } from "./waveform.js";

const $ = (id) => document.getElementById(id);
const audio = $("audio");
const percent = (rate, digits = 1) => `${(100 * rate).toFixed(digits)}\u2009%`;
const whole = (count) => count.toLocaleString("en");
const MARGIN = 0.08; // seconds around a word that is played

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// ---- the server -----------------------------------------------------------------------------
async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server cannot be reached.");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `The server answered ${response.status}.`);
  return answer;
}

function chosen() {
  const decoder = model.decoders.find(({ name }) => name === $("decoder").value);
  return decoder.alpha === null ? { decoder: decoder.name } : { decoder: decoder.name, alpha: Number($("alpha").value) };
}
const query = (values) => new URLSearchParams(values).toString();

// ---- the model ------------------------------------------------------------------------------
let model = null;

const NAMES = {
  argmax: "Best path",
  beam_search: "Beam search",
  beam_search_lm: "Beam search with language model",
  beam_search_closed: "Beam search, only the language model\u2019s words",
  pyctcdecode: "pyctcdecode",
  pyctcdecode_lm: "pyctcdecode with language model",
  flashlight_lm: "Flashlight with language model",
};

function drawModel() {
  const name = chosen().decoder;
  const size = model.parameters >= 1e6 ? `${(model.parameters / 1e6).toFixed(1)} M parameters` : `${whole(model.parameters)} parameters`;
  const parts = [model.name, size];
  const rates = model.measured.find(({ decoder }) => decoder === name) ?? model.measured[0];
  if (rates) {
    const [low, high] = rates.wer_interval ?? [];
    const interval = low === undefined ? "" : ` (${(100 * low).toFixed(1)}\u2009\u2013\u2009${(100 * high).toFixed(1)})`;
    parts.push(`WER ${percent(rates.wer)}${interval} on ${rates.split}, ${whole(rates.utterances ?? 0)} recordings, ${NAMES[rates.decoder]?.toLowerCase() ?? rates.decoder}`);
  } else {
    parts.push("not measured");
  }
  if (model.lm) parts.push(`language model ${model.lm}`);
  $("model").textContent = parts.join(" \u00b7 ");
}

function drawChoices() {
  $("decoder").append(...model.decoders.map(({ name }) => element("option", { value: name }, NAMES[name] ?? name)));
  $("decoder").value = model.decoders.at(-1).name;
  $("alpha").value = model.decoders.find(({ alpha }) => alpha !== null)?.alpha ?? 0;
  drawWeight();
  const { mb, seconds } = model.limits;
  const longest = seconds >= 120 ? `${+(seconds / 60).toFixed(1)} minutes` : `${seconds} seconds`;
  $("limits").textContent = `wav, flac, mp3, ogg or opus, up to ${longest} and ${mb} MB`;
}

function drawWeight() {
  $("weight").hidden = chosen().alpha === undefined;
  $("alpha-value").textContent = Number($("alpha").value).toFixed(1);
}

// ---- what is shown --------------------------------------------------------------------------
let shown = null; // the last record
const waveform = new Waveform($("wave"), (time) => { if (!audio.hidden) { until = null; audio.currentTime = time; audio.play(); } });

function say(status) { $("status").textContent = status; }
function complain(error) {
  $("error").textContent = error.message;
  $("error").hidden = false;
  say("");
}
function quiet() { $("error").hidden = true; say(""); }

function wordNode(tag, word, attributes) {
  const node = element(tag, attributes, word.text);
  node.title = `${word.start.toFixed(2)}\u2009\u2013\u2009${word.end.toFixed(2)} s, ${percent(word.confidence, 0)} sure`;
  node.style.setProperty("--doubt", (1 - word.confidence).toFixed(3));
  node.addEventListener("click", () => play(word));
  return node;
}

// `before`: the words that it is compared with, or nothing
function show(record, before = null) {
  shown = record;
  $("result").hidden = false;
  const words = record.words;
  const over = words.map((word) => ({ ...word, node: wordNode("span", word, {}) }));
  if (record.peaks) waveform.show(record.peaks, over, record.duration);
  else { waveform.words = over; waveform.layout(); }
  const buttons = words.map((word) => wordNode("button", word, { type: "button", class: "word" }));
  marks = words.map((word, index) => [word, over[index].node, buttons[index]]);
  const edits = before ? changes(before, words.map(({ text }) => text)) : words.map((_, index) => ["=", "", index]);
  const pieces = edits.flatMap(([sign, old, index]) => [piece(sign, old, buttons[index]), " "]);
  $("text").replaceChildren(...(pieces.length ? pieces : [element("span", { class: "empty" }, "nothing heard")]));
  $("text").classList.remove("live");
  const changed = edits.filter(([sign]) => sign !== "=").length;
  $("change").hidden = !before;
  $("change").textContent = !before ? "" : changed ? `${changed} of ${Math.max(words.length, before?.length ?? 0)} words changed.` : "No word changed.";
  const facts = [`${record.duration.toFixed(1)} s`, `${before ? "decoded" : "heard"} in ${record.seconds.toFixed(2)} s`, `${words.length} words`];
  if (record.confidence !== null) facts.push(`${percent(record.confidence, 0)} sure`);
  if (record.warning) facts.push(record.warning);
  $("facts").textContent = facts.join(" \u00b7 ");
  $("copy").hidden = false;
  drawLegend(changed > 0);
}

function piece(sign, old, button) {
  if (sign === "=") return button;
  if (sign === "S") return element("span", { class: "sub" }, element("del", {}, old), element("ins", {}, button));
  return sign === "D" ? element("del", { class: "deleted" }, old) : element("ins", { class: "inserted" }, button);
}

function drawLegend(changed) {
  const item = (...content) => element("span", {}, ...content);
  const items = [item("unsure ", element("span", { class: "scale" }), " sure")];
  if (changed) {
    items.push(
      item(element("span", { class: "sub" }, element("del", {}, "before"), element("ins", {}, "now")), " changed"),
      item(element("del", { class: "deleted" }, "before"), " gone"), item(element("ins", { class: "inserted" }, "now"), " new"));
  }
  $("legend").replaceChildren(...items);
  $("legend").hidden = false;
}

// ---- playing --------------------------------------------------------------------------------
let marks = []; // [word, its node over the waveform, its node in the text]
let until = null; // where a word that is played ends

function play(word) {
  if (audio.hidden) return;
  audio.currentTime = Math.max(0, word.start - MARGIN);
  until = word.end + MARGIN;
  audio.play();
}

function follow() {
  const now = audio.currentTime;
  if (until !== null && now >= until) { until = null; audio.pause(); }
  for (const [word, ...nodes] of marks) {
    for (const node of nodes) node.classList.toggle("now", !audio.paused && word.start <= now && now < word.end);
  }
  waveform.at(audio.paused && !now ? null : now);
  if (!audio.paused) requestAnimationFrame(follow);
}
audio.addEventListener("play", () => requestAnimationFrame(follow));
audio.addEventListener("pause", follow);
audio.addEventListener("seeked", follow);
// a format that the browser cannot play is still written down
audio.addEventListener("error", () => { if (audio.src) audio.hidden = true; });

function playable(blob) {
  if (audio.src) URL.revokeObjectURL(audio.src);
  until = null;
  audio.hidden = !blob;
  if (blob) audio.src = URL.createObjectURL(blob);
  else audio.removeAttribute("src");
}

// ---- a file ---------------------------------------------------------------------------------
let turn = 0; // answers to what is no longer wanted are dropped

async function send(file) {
  quiet();
  if (file.size > model.limits.mb * 1e6) return complain(new Error(`${file.name} is larger than ${model.limits.mb} MB.`));
  const mine = ++turn;
  say(`Listening to ${file.name} \u2026`);
  try {
    const answer = await ask(`api/transcribe?${query(chosen())}`, { method: "POST", body: file });
    if (mine !== turn) return;
    playable(file);
    show(answer);
    quiet();
  } catch (error) {
    if (mine === turn) complain(error);
  }
}

$("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = ""; // the same file may be chosen again
  if (file) send(file);
});
for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
$("drop").addEventListener("dragover", () => $("drop").classList.add("over"));
$("drop").addEventListener("dragleave", () => $("drop").classList.remove("over"));
addEventListener("drop", (event) => {
  $("drop").classList.remove("over");
  const [file] = event.dataTransfer?.files ?? [];
  if (file && !recording) send(file);
});

// ---- the microphone -------------------------------------------------------------------------
let recording = null;

function drawRecording(label) {
  $("record").classList.toggle("recording", Boolean(recording));
  $("record-label").textContent = label ?? (recording ? "Stop" : "Record");
  for (const name of ["decoder", "alpha", "file"]) $(name).disabled = Boolean(recording);
}

async function start() {
  quiet();
  const mine = ++turn, chunks = [];
  $("record").disabled = true;
  try {
    let rate = 48000, seconds = 0;
    const heard = (samples) => {
      chunks.push(samples);
      seconds += samples.length / rate;
      waveform.push(peaksOf(samples, rate));
      if (recording && !recording.stopped) drawRecording(`Stop \u00b7 ${Math.floor(seconds)} s`);
    };
    const said = ({ text }) => { if (mine === turn) $("text").textContent = text || "\u2026"; };
    const begun = await record(chosen(), heard, said);
    rate = begun.rate;
    recording = begun;
    playable(null);
    $("result").hidden = false;
    waveform.show([], [], 0);
    marks = [];
    $("text").textContent = "\u2026";
    $("text").classList.add("live");
    for (const name of ["change", "legend", "copy"]) $(name).hidden = true;
    $("facts").textContent = "";
    $("record").disabled = false;
    drawRecording();
    say("Listening \u2026");
    const answer = await begun.done;
    if (mine === turn) {
      playable(wav(chunks, rate));
      show(answer);
      quiet();
    }
  } catch (error) {
    complain(error);
    $("text").classList.remove("live");
  } finally {
    recording = null;
    $("record").disabled = false;
    drawRecording();
  }
}

function stop() {
  recording.stopped = true;
  $("record").disabled = true;
  drawRecording("Stopped");
  say("Hearing it once more, whole \u2026");
  recording.stop();
}
$("record").addEventListener("click", () => (recording ? stop() : start()));

// ---- another decoder ------------------------------------------------------------------------
async function decodeAgain() {
  drawModel();
  drawWeight();
  if (!shown || recording) return;
  if (!shown.token) return say("This recording was too long to be kept: send it again to decode it otherwise.");
  quiet();
  const mine = ++turn, before = shown.words.map(({ text }) => text);
  try {
    const answer = await ask(`api/decode?${query({ token: shown.token, ...chosen() })}`, { method: "POST" });
    if (mine === turn) show(answer, before);
  } catch (error) {
    if (mine === turn) complain(error);
  }
}
$("decoder").addEventListener("change", decodeAgain);
$("alpha").addEventListener("input", drawWeight);
$("alpha").addEventListener("change", decodeAgain);

$("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(shown?.text ?? "");
    $("copy").textContent = "Copied";
  } catch {
    $("copy").textContent = "Not allowed";
  }
  setTimeout(() => { $("copy").textContent = "Copy text"; }, 1500);
});

document.addEventListener("theme", () => waveform.draw());

try {
  model = await ask("api/model");
  document.title = `Speech to text \u00b7 ${model.name}`;
  drawChoices();
  drawModel();
  $("record").disabled = false;
} catch (error) {
  complain(error);
}
