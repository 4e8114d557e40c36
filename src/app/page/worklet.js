// Samples of the microphone, as 16-bit integers, a tenth of a second at a time.
class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Int16Array(Math.round(sampleRate / 10));
    this.filled = 0;
    this.port.onmessage = () => { this.flush(); this.port.postMessage(null); this.ended = true; };
  }

  flush() {
    if (!this.filled) return;
    const samples = this.samples.slice(0, this.filled);
    this.port.postMessage(samples, [samples.buffer]);
    this.filled = 0;
  }

  process([channels]) {
    for (const value of channels[0] ?? []) {
      this.samples[this.filled++] = Math.max(-1, Math.min(1, value)) * 32767;
      if (this.filled === this.samples.length) this.flush();
    }
    return !this.ended;
  }
}
registerProcessor("microphone", Microphone);
