// Finds a channel by what the reader types.

/** "3:17" (level:channel) or "451" (number) → {node} or {complaint}. */
export function search(text, { levels, numNodes }) {
  const words = text.trim().match(/^(\d+)(?:\s*[:/.,]\s*(\d+))?$/);
  if (!words) return { complaint: "Type level:channel, such as 3:17, or a channel's number." };
  const [first, second] = [Number(words[1]), words[2] === undefined ? null : Number(words[2])];
  if (second === null)
    return first < numNodes ? { node: first } : { complaint: `Channels are numbered from 0 to ${numNodes - 1}.` };
  const level = levels[first];
  if (!level) return { complaint: `Levels are numbered from 0 to ${levels.length - 1}.` };
  if (second >= level.size) return { complaint: `Level ${first} has channels 0 to ${level.size - 1}.` };
  return { node: level.first + second };
}
