// What became of a text: its words aligned with those of another one by the fewest edits.

// [sign, word before, index of the word after], sign one of = S D I
export function changes(before, after) {
  // what both begin and end with needs no table
  let start = 0, end = 0;
  const shorter = Math.min(before.length, after.length);
  while (start < shorter && before[start] === after[start]) start++;
  while (end < shorter - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  const left = before.slice(start, before.length - end), right = after.slice(start, after.length - end);
  const middle = left.length * right.length > 4e6 ? replaced(left, right) : aligned(left, right);
  return [
    ...before.slice(0, start).map((word, i) => ["=", word, i]),
    ...middle.map(([sign, word, index]) => [sign, word, index === null ? null : index + start]),
    ...before.slice(before.length - end).map((word, i) => ["=", word, after.length - end + i]),
  ];
}

const replaced = (left, right) => [...left.map((word) => ["D", word, null]), ...right.map((_, i) => ["I", "", i])];

function aligned(left, right) {
  const columns = right.length + 1, cost = new Uint32Array((left.length + 1) * columns);
  for (let i = 0; i <= left.length; i++) {
    for (let j = 0; j <= right.length; j++) {
      const here = i * columns + j;
      if (!i || !j) { cost[here] = i + j; continue; }
      const both = cost[here - columns - 1] + (left[i - 1] !== right[j - 1]);
      cost[here] = Math.min(both, cost[here - columns] + 1, cost[here - 1] + 1);
    }
  }
  const path = [];
  for (let i = left.length, j = right.length; i || j;) {
    const here = i * columns + j;
    const same = i && j && left[i - 1] === right[j - 1];
    if (i && j && cost[here] === cost[here - columns - 1] + !same) { path.push([same ? "=" : "S", left[--i], --j]); continue; }
    if (i && cost[here] === cost[here - columns] + 1) path.push(["D", left[--i], null]);
    else path.push(["I", "", --j]);
  }
  return path.reverse();
}
