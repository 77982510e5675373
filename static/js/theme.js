// Light or dark before the first paint: what was chosen here, or else what the system says.
// A plain script: a module would run too late.
(() => {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem("theme");
  const show = () => {
    document.documentElement.dataset.bsTheme = chosen() || (system.matches ? "dark" : "light");
  };
  show();
  system.addEventListener("change", show);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const next = document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark";
    const followsSystem = (next === "dark") === system.matches;
    if (followsSystem) localStorage.removeItem("theme");
    else localStorage.setItem("theme", next);
    show();
  });
})();
