// The list of investigations: a row for all that belong together, of which only those in sight are drawn.

const ROW_PX = 30 + 20 * index.models.length;
const SPARE_ROWS = 6;

const groups = (() => {
  const found = new Map();
  items.forEach((item, place) => {
    const key = `${item.phase}/${item.replicate}`;
    if (!found.has(key)) found.set(key, { key, phase: item.phase, replicate: item.replicate, places: [] });
    found.get(key).places.push(place);
  });
  const order = index.phases;
  return [...found.values()].sort((a, b) => order.indexOf(a.phase) - order.indexOf(b.phase) || a.replicate - b.replicate);
})();

function described(group) {
  return [group.phase, ...group.places.map((place) => `${items[place].id} ${words(items[place].reason)} ${items[place].marks.join(" ")}`)].join(" ").toLowerCase();
}

function rowOf(group, number, total, isOpen, isActive) {
  const lines = group.places.map((place) => {
    const item = items[place];
    const marks = item.trouble ? element("span", { class: "flag", title: item.marks.join("; ") }, "!") : null;
    return element("span", { class: `line arm-${item.arm}` }, element("span", { class: "model" }, item.model), ` ${plural(item.turns, "turn")}, ${words(item.reason)} `, marks);
  });
  const row = element(
    "div",
    { class: `option${isActive ? " active" : ""}`, role: "option", id: `option-${number}`, "data-number": number, "aria-selected": String(isOpen), "aria-posinset": number + 1, "aria-setsize": total },
    element("span", { class: "title", title: group.phase }, element("span", { class: "phase" }, group.phase), element("span", { class: "facts" }, `replicate ${group.replicate}`)),
    lines,
  );
  row.style.transform = `translateY(${number * ROW_PX}px)`;
  row.style.height = `${ROW_PX}px`;
  return row;
}

function listOf(box, count, open) {
  const rows = element("div", { class: "rows" });
  box.append(rows);
  let kept = groups;
  let opened = null;
  let active = 0;

  function draw() {
    rows.style.height = `${kept.length * ROW_PX}px`;
    const first = Math.max(0, Math.floor(box.scrollTop / ROW_PX) - SPARE_ROWS);
    const last = Math.min(kept.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW_PX) + SPARE_ROWS);
    const drawn = [];
    for (let n = first; n < last; n += 1) drawn.push(rowOf(kept[n], n, kept.length, kept[n] === opened, n === active));
    rows.replaceChildren(...drawn);
    box.setAttribute("aria-activedescendant", `option-${active}`);
  }

  function reveal(n) {
    active = Math.max(0, Math.min(kept.length - 1, n));
    const top = active * ROW_PX;
    if (top < box.scrollTop) box.scrollTop = top;
    if (top + ROW_PX > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW_PX - box.clientHeight;
    draw();
  }

  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity };
  box.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && kept[active]) open(kept[active]);
    else if (event.key in steps) reveal(active + steps[event.key]);
    else return;
    event.preventDefault();
  });
  box.addEventListener("click", (event) => {
    const row = event.target.closest("[data-number]");
    if (!row) return;
    active = Number(row.dataset.number);
    open(kept[active]);
  });
  new ResizeObserver(draw).observe(box);

  return {
    filter(text) {
      const sought = text.toLowerCase().split(/\s+/).filter(Boolean);
      kept = groups.filter((group) => sought.every((word) => described(group).includes(word)));
      count.textContent = kept.length === groups.length ? plural(groups.length, "row") : `${number.format(kept.length)} of ${plural(groups.length, "row")}`;
      reveal(0);
    },
    show(group) {
      opened = group;
      if (kept.includes(group)) reveal(kept.indexOf(group));
      else draw();
    },
  };
}
