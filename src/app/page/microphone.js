// The microphone to the server, and what the server says back.

// as it sounds: what a browser does to please ears, the model has not been trained on
const ASKED = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

// `heard` gets each chunk (Int16Array), `said` each partial text; `stop()` ends the recording and
// `done` is its transcript. An Error's message is a sentence for people.
export async function record(settings, heard, said) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error("The browser gives the microphone only to pages from this machine or over https.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: ASKED });
  } catch (error) {
    throw new Error(error.name === "NotAllowedError" ? "The microphone was not allowed." : "There is no microphone to record from.");
  }
  const context = new AudioContext();
  const free = () => {
    for (const track of stream.getTracks()) track.stop();
    if (context.state !== "closed") context.close();
  };
  let socket, node;
  try {
    await context.audioWorklet.addModule("worklet.js");
    node = new AudioWorkletNode(context, "microphone", { channelCount: 1, channelCountMode: "explicit", numberOfOutputs: 0 });
    socket = await connected(settings, context.sampleRate);
  } catch (error) {
    free();
    throw error;
  }
  const rate = context.sampleRate;
  const done = new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.type === "partial") said(message);
      if (message.type === "final") resolve(message);
      if (message.type === "error") reject(new Error(message.error));
    };
    socket.onclose = () => reject(new Error("The connection to the server broke off."));
  }).finally(() => { free(); socket.close(); });
  node.port.onmessage = ({ data: samples }) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (samples) {
      socket.send(samples);
      heard(samples);
    } else {
      socket.send(JSON.stringify({ end: true }));
      free();
    }
  };
  context.createMediaStreamSource(stream).connect(node);
  await context.resume();
  return { rate, done, stop: () => node.port.postMessage("end") };
}

function connected(settings, rate) {
  const url = new URL("api/stream", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  return new Promise((resolve, reject) => {
    socket.onopen = () => { socket.send(JSON.stringify({ ...settings, sample_rate: rate })); resolve(socket); };
    socket.onerror = () => reject(new Error("The server cannot be reached."));
  });
}

// A WAV file of the chunks, to be played.
export function wav(chunks, rate) {
  const count = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  const view = new DataView(new ArrayBuffer(44));
  const text = (at, letters) => [...letters].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 2 * count, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, 2 * count, true);
  return new Blob([view, ...chunks], { type: "audio/wav" });
}
