// Search over all texts: transcripts are unpacked one after the other, and what is found is shown at once.

const MOST_FOUND = 200;
const AROUND = 60;
const BREATH_MS = 24; // time of work after which the page may react

function textsOf(step) {
  return [
    ...step.prompts.map(([role, text]) => [role === "system" ? "system prompt" : "prompt", text]),
    ["reply", step.reply],
    ...step.blocks.flatMap((block) => [
      ["code", block.code],
      ["output", block.output],
      ["call", block.calls.join("\n")],
    ]),
    ["observation", step.observation],
  ];
}

function* found(item, record, sought) {
  for (const step of record.steps) {
    for (const [where, text] of textsOf(step)) {
      const place = text.toLowerCase().indexOf(sought);
      if (place >= 0) yield { item, step, where, text, place };
    }
  }
}

function resultOf(hit, length) {
  const { item, step, where, text, place } = hit;
  const from = Math.max(0, place - AROUND);
  const to = Math.min(text.length, place + length + AROUND);
  const excerpt = [from > 0 ? "\u2026" : "", text.slice(from, place), element("mark", {}, text.slice(place, place + length)), text.slice(place + length, to), to < text.length ? "\u2026" : ""];
  const title = `${item.model} \u00b7 ${item.phase} \u00b7 replicate ${item.replicate} \u00b7 turn ${step.turn + 1} \u00b7 ${where}`;
  return element("li", { class: `arm-${item.arm}` }, element("a", { href: `#${item.id}/${step.turn + 1}` }, title), element("p", {}, excerpt));
}

function searchIn(list, status) {
  let running = 0;
  return async (text) => {
    running += 1;
    const mine = running;
    const sought = text.trim().toLowerCase();
    list.replaceChildren();
    status.textContent = "";
    if (sought.length < 2) return;
    let hits = 0;
    let rested = performance.now();
    for (let place = 0; place < items.length; place += 1) {
      const record = await transcript(place);
      if (mine !== running) return;
      for (const hit of found(items[place], record, sought)) {
        hits += 1;
        if (hits <= MOST_FOUND) list.append(resultOf(hit, sought.length));
      }
      if (performance.now() - rested > BREATH_MS) {
        status.textContent = `${number.format(hits)} found in ${number.format(place + 1)} of ${number.format(items.length)} \u2026`;
        await new Promise((resume) => setTimeout(resume));
        rested = performance.now();
      }
    }
    const more = hits > MOST_FOUND ? `, the first ${MOST_FOUND} are shown` : "";
    status.textContent = hits ? `${plural(hits, "text")} with \u201c${text.trim()}\u201d in ${plural(items.length, "investigation")}${more}` : `nothing with \u201c${text.trim()}\u201d in ${plural(items.length, "investigation")}`;
  };
}

// Marks what was sought in the transcript that is open, where the browser can do that without touching it.
function highlightIn(root, sought) {
  if (!("highlights" in CSS)) return;
  CSS.highlights.delete("sought");
  const low = sought.trim().toLowerCase();
  if (low.length < 2) return;
  const ranges = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.toLowerCase();
    for (let place = text.indexOf(low); place >= 0; place = text.indexOf(low, place + low.length)) {
      const range = new Range();
      range.setStart(walker.currentNode, place);
      range.setEnd(walker.currentNode, Math.min(place + low.length, walker.currentNode.length));
      ranges.push(range);
    }
  }
  CSS.highlights.set("sought", new Highlight(...ranges));
}
