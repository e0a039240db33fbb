// One investigation, or two side by side: a row for each turn, aligned by experiment and turn.

function pre(kind, children, label) {
  return element("pre", { class: kind, tabindex: "0", role: "region", "aria-label": label }, children);
}

function fold(summary, ...children) {
  return element("details", {}, element("summary", {}, summary), ...children);
}

function replyOf(step) {
  const own = step.own === undefined ? step.reply : step.reply.slice(0, step.own);
  const parts = pieces(own).map(([kind, text]) =>
    kind === "code" ? pre("code", python(text), "code in the reply") : element("p", { class: "prose" }, text.trim()),
  );
  const dropped = step.reply.slice(own.length);
  if (dropped.trim()) parts.push(fold("not kept: from here on the reply speaks for somebody else", element("p", { class: "prose" }, dropped)));
  return parts.length ? parts : [element("p", { class: "note" }, "(an empty reply)")];
}

function blockOf(block) {
  const facts = [block.error ? element("strong", { class: "error" }, block.error) : "ran", ` in ${block.seconds.toFixed(2)} s`];
  const calls = block.calls.length ? fold(plural(block.calls.length, "introspection call"), pre("calls", block.calls.join("\n"), "calls")) : null;
  const printed = block.output.trim() ? pre("output", output(block.output), "output") : element("p", { class: "note" }, "(printed nothing)");
  const code = block.code ? pre("code", python(block.code), "executed code") : null;
  return element("div", { class: "block" }, code, element("p", { class: "facts" }, ...facts), printed, calls);
}

function factsOf(step) {
  const read = `${number.format(step.read)} tokens read${step.cached ? ` (${number.format(step.cached)} cached)` : ""}`;
  const facts = [read, `${number.format(step.written)} written`, `${step.seconds.toFixed(1)}\u00a0s`];
  if (step.finish) facts.push(step.finish === "length" ? "cut at the limit" : step.finish);
  if (!step.blocks.length) facts.push(words(step.action));
  if (step.grounded) facts.push(`${plural(step.grounded, "claim")} as recorded`);
  return facts.join("\u00a0\u00b7 ");
}

function marksOf(step) {
  return step.marks.map(([kind, text]) => element("p", { class: `mark ${kind}` }, text));
}

function turnOf(item, step) {
  const turn = step.turn + 1; // people count from 1
  const key = `${item.id}/${turn}`;
  const link = element("a", { class: "permalink", href: `#${key}`, title: "Permalink to this turn" }, `turn ${turn}`);
  const copy = element("button", { class: "copy", type: "button", "data-copy": key, "aria-label": `Copy the link to turn ${turn} of ${item.id}` }, "copy link");
  const said = step.observation ? pre("observation", step.observation, "what went back to the model") : null;
  return element(
    "article",
    { class: "turn", "data-key": key, tabindex: "-1", "aria-label": `${item.model}, turn ${turn}` },
    element("header", { "data-model": item.model }, link, element("span", { class: "facts" }, factsOf(step)), copy),
    marksOf(step),
    replyOf(step),
    step.blocks.map(blockOf),
    said && (step.blocks.length ? fold("what went back to the model", said) : said),
  );
}

function promptsOf(step) {
  return step.prompts.map(([role, text]) => fold(`${role === "system" ? "system prompt" : "prompt"} (${plural(text.length, "character")})`, pre("prompt", text, role)));
}

function samePrompts(one, other) {
  return one && other && JSON.stringify(one.prompts) === JSON.stringify(other.prompts);
}

function empty(column, k, steps) {
  if (!column || k !== steps.length) return element("div", { class: "turn none" });
  const stage = column.record.stages.find((each) => each.name === column.stageName);
  const why = stage ? `ended: ${words(stage.ended)}` : "did not come to this experiment";
  return element("div", { class: "turn none" }, element("p", { class: "note" }, why));
}

function stageOf(name, columns) {
  const steps = columns.map((column) => (column ? column.record.steps.filter((step) => column.record.stages[step.experiment]?.name === name) : []));
  const named = columns.map((column) => column && { ...column, stageName: name });
  const ends = columns.map((column, c) => {
    const stage = column?.record.stages.find((each) => each.name === name);
    if (!stage) return null;
    const lacks = stage.lacks ? `; short of what was required: ${stage.lacks}` : "";
    return element("span", { class: `end arm-${column.item.arm}` }, `${column.item.model}: ${plural(steps[c].length, "turn")}, ${words(stage.ended)}${lacks}`);
  });
  const head = element("header", { class: "stage" }, element("h4", {}, name), ends);
  const first = steps.map((each) => each[0]);
  const prompts = samePrompts(...first) ? [element("div", { class: "prompts both" }, promptsOf(first[0]))] : first.map((step) => element("div", { class: "prompts" }, step ? promptsOf(step) : []));
  const rows = [element("div", { class: "row" }, prompts)];
  for (let k = 0; k < Math.max(...steps.map((each) => each.length)) + 1; k += 1) {
    const cells = steps.map((each, c) => (k < each.length ? turnOf(columns[c].item, each[k]) : empty(named[c], k, each)));
    if (cells.some((cell) => cell.hasChildNodes())) {
      cells.forEach((cell, c) => columns[c] && cell.classList.add(`arm-${columns[c].item.arm}`));
      rows.push(element("div", { class: "row" }, cells));
    }
  }
  return element("section", { class: "experiment" }, head, rows);
}

function headOf(column) {
  if (!column) return element("div", {});
  const { item } = column;
  const facts = [plural(item.turns, "turn"), plural(item.blocks, "block"), plural(item.errors, "error"), words(item.reason)].join(" \u00b7 ");
  const marks = item.marks.map((mark) => element("p", { class: "mark" }, mark));
  return element("div", { class: `head arm-${item.arm}` }, element("h3", {}, item.model), element("p", { class: "facts" }, `${item.id} \u00b7 ${facts}`), marks);
}

function sideBySide(columns) {
  const names = [...new Set(columns.flatMap((column) => column?.record.stages.map((stage) => stage.name) ?? []))];
  const kind = columns.length > 1 ? "pair" : "alone";
  return element("div", { class: `transcript ${kind}` }, element("div", { class: "row heads" }, columns.map(headOf)), names.map((name) => stageOf(name, columns)));
}
