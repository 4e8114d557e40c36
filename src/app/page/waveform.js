// The waveform, with the words where they were said. Only what is in view is drawn.

const HEIGHT = 164, ROWS = 3, ROW = 21, TOP = ROWS * ROW + 8;
const PER_SECOND = 110; // pixels, at least
export const PEAKS = 50; // a second

export class Waveform {
  constructor(box, seek) {
    this.box = box;
    this.track = box.querySelector(".track");
    this.canvas = box.querySelector("canvas");
    this.layer = box.querySelector(".words");
    this.show([], [], 0);
    box.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.layout()).observe(box);
    this.canvas.addEventListener("click", (event) => seek(this.time(event.clientX)));
  }

  // peaks in [0, 1], PEAKS a second; words {text, start, end, node}; seconds
  show(peaks, words, duration) {
    Object.assign(this, { peaks, words, duration, now: null });
    this.box.scrollLeft = 0;
    this.layout();
  }

  // while one speaks
  push(peaks) {
    this.peaks.push(...peaks);
    this.duration = this.peaks.length / PEAKS;
    this.layout();
    this.box.scrollLeft = this.box.scrollWidth;
  }

  time(clientX) {
    return (clientX - this.track.getBoundingClientRect().left) / this.scale;
  }

  layout() {
    const width = this.box.clientWidth;
    this.scale = Math.max(PER_SECOND, this.words.length ? width / Math.max(this.duration, 0.1) : 0);
    this.track.style.width = `${Math.max(width, Math.ceil(this.duration * this.scale))}px`;
    const ends = Array(ROWS).fill(-Infinity); // of the last word in each row, in pixels
    this.layer.replaceChildren(...this.words.map(({ node }) => node));
    const widths = this.words.map(({ node }) => node.offsetWidth); // read at once, written at once
    this.words.forEach(({ node, start }, index) => {
      const room = this.track.offsetWidth - widths[index];
      const left = Math.max(0, Math.min(start * this.scale, room));
      let row = ends.findIndex((end) => end + 4 <= left);
      if (row < 0) row = ends.indexOf(Math.min(...ends));
      ends[row] = left + widths[index];
      node.style.left = `${left}px`;
      node.style.top = `${row * ROW + 2}px`;
      node.style.setProperty("--stem", `${TOP - (row + 1) * ROW}px`);
    });
    this.draw();
  }

  at(now) {
    this.now = now;
    if (now !== null) {
      const x = now * this.scale, { scrollLeft, clientWidth } = this.box;
      if (x < scrollLeft || x > scrollLeft + clientWidth - 20) this.box.scrollLeft = x - clientWidth / 4;
    }
    this.draw();
  }

  draw() {
    const width = this.box.clientWidth, ratio = devicePixelRatio || 1;
    const { canvas, scale } = this, style = getComputedStyle(canvas);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== HEIGHT * ratio) {
      canvas.width = Math.round(width * ratio);
      canvas.height = HEIGHT * ratio;
      canvas.style.width = `${width}px`;
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, HEIGHT);
    const from = this.box.scrollLeft, middle = (TOP + HEIGHT) / 2, half = (HEIGHT - TOP) / 2 - 4;
    const loudest = Math.max(0.05, ...this.peaks.slice(0, 5000));
    const step = scale / PEAKS, first = Math.max(0, Math.floor(from / step));
    pen.fillStyle = style.color;
    for (let i = first; i < Math.min(this.peaks.length, (from + width) / step + 1); i++) {
      const tall = Math.max(1, Math.min(1, this.peaks[i] / loudest) * half * 2);
      pen.fillRect(i * step - from, middle - tall / 2, Math.max(1, step - 0.8), tall);
    }
    if (this.now !== null) {
      pen.fillStyle = style.caretColor;
      pen.fillRect(this.now * scale - from - 1, TOP, 2, HEIGHT - TOP);
    }
  }
}

// The loudest of each 1 / PEAKS s of 16-bit samples.
export function peaksOf(samples, rate) {
  const span = Math.round(rate / PEAKS), peaks = [];
  for (let start = 0; start < samples.length; start += span) {
    let most = 0;
    for (let i = start; i < Math.min(start + span, samples.length); i++) most = Math.max(most, Math.abs(samples[i]));
    peaks.push(most / 32768);
  }
  return peaks;
}
