// What is packed into the page: an index that is read at once, and chunks that are unpacked when asked for.

const index = JSON.parse(document.getElementById("index").textContent);
const items = index.items;
const placeOf = new Map(items.map((item, place) => [item.id, place]));
const KEPT = 48; // unpacked transcripts that are kept

function bytesOf(id) {
  return Uint8Array.from(atob(document.getElementById(id).textContent), (character) => character.charCodeAt(0));
}

// Every chunk goes on from the primer, and what comes out begins with the primer's own bytes.
const primer = bytesOf("primer");

async function unpack(place) {
  const chunk = bytesOf(`chunk-${place}`);
  const stream = new Blob([primer, chunk]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return JSON.parse(new TextDecoder().decode(bytes.subarray(index.skipped)));
}

const unpacked = new Map();

async function transcript(place) {
  if (!unpacked.has(place)) {
    if (unpacked.size >= KEPT) unpacked.delete(unpacked.keys().next().value);
    unpacked.set(place, unpack(place).then(whole));
  }
  return unpacked.get(place);
}

// What is empty or zero is left out of a chunk.
function whole(record) {
  const block = (found) => ({ code: "", output: "", error: "", seconds: 0, calls: [], ...found });
  const step = (found) => ({ prompts: [], marks: [], grounded: 0, experiment: 0, observation: "", action: "", finish: "", read: 0, cached: 0, written: 0, seconds: 0, ...found, blocks: (found.blocks ?? []).map(block) });
  const stage = (found) => ({ ended: "", lacks: "", ...found });
  return { stages: record.stages.map(stage), steps: record.steps.map(step) };
}
