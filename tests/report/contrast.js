// [text, ratio] of each element that has text of its own (WCAG 2.1, relative luminance)
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
function channels(color) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}
function luminance([r, g, b]) {
  const linear = [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
}
function behind(element) {
  for (let node = element; node; node = node.parentElement) {
    const color = channels(getComputedStyle(node).backgroundColor);
    if (color[3] === 255) return color;
  }
  return [255, 255, 255, 255];
}
return [...document.querySelectorAll("body *")]
  .filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
  .filter((e) => !["SCRIPT", "STYLE", "NOSCRIPT", "TITLE"].includes(e.tagName.toUpperCase()))
  .map((e) => {
    const style = getComputedStyle(e);
    const pair = [channels(e.ownerSVGElement ? style.fill : style.color), behind(e)].map(luminance);
    return [e.textContent, (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05)];
  });
