// Keeps the worst first: children of [data-sorted] stand by their rank, then by their name. Nothing
// moves under a pointer or a focus: the order waits until both have left.
const CALM = 1500; // ms between two orders

const key = (child) => {
  const told = child.dataset.sortsAs ? child.querySelector(child.dataset.sortsAs) : child;
  return [Number(told?.dataset.rank ?? 0), told?.dataset.name ?? ""];
};

function compare(a, b) {
  const [[rankA, nameA], [rankB, nameB]] = [key(a), key(b)];
  return rankA - rankB || (nameA < nameB ? -1 : Number(nameA > nameB));
}

const busy = (list) => list.matches(":hover") || list.contains(document.activeElement);

function sort(list) {
  const now = [...list.children];
  const wanted = [...now].sort(compare);
  if (wanted.every((child, at) => child === now[at])) return;
  wanted.forEach((child, at) => {
    const there = list.children[at];
    if (there !== child) list.insertBefore(child, there);
  });
}

let later = null;
export function sortSoon() {
  later ??= setTimeout(() => {
    later = null;
    for (const list of document.querySelectorAll("[data-sorted]")) {
      if (busy(list)) sortSoon();
      else sort(list);
    }
  }, CALM);
}

if (document.querySelector("[data-sorted]")) {
  document.addEventListener("pilothouse:swapped", sortSoon);
}
