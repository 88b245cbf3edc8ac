// What pages do beyond htmx: plots, Ctrl+Enter in the editor, and what stays as it is when a part comes anew.
"use strict";

(() => {
  const COLORS = ["#2a7f3f", "#c2571a", "#2f6fb3", "#a23b8f", "#8a7a12", "#168a8a",
    "#c23b4a", "#6a5acd", "#5b8c1f", "#b08020", "#4a7a9a", "#9a5a4a"];
  // Steps of a time axis in seconds, each at most 2.5 times the one before it.
  const DAY = 86400;
  const STEPS = [[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5], [1, 2, 5, 10, 15, 30],
    [1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60), [1, 2, 3, 6, 12].map((hours) => hours * 3600),
    [1, 2, 5, 10, 15, 30, 60, 90, 180].map((days) => days * DAY),
    [1, 2, 5, 10, 20, 50, 100].map((years) => years * 365 * DAY)].flat();
  const plots = new Map();

  function ink(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function draw(place) {
    const said = JSON.parse(place.dataset.plot);
    // As much of a time as tells two neighbours apart, narrow enough for five of them on a phone.
    const time = (seconds, step, span) => {
      const at = new Date(Math.round(seconds * 1000)).toISOString();
      if (step >= DAY) return `${at.slice(5, 10)}\n${at.slice(0, 4)}`;
      if (step < 1) return `${at.slice(11, 19)}\n${at.slice(19, 23)}`;
      const clock = at.slice(11, step >= 60 ? 16 : 19);
      return span > DAY ? `${clock}\n${at.slice(5, 10)}` : clock;
    };
    // At least two lines, wherever the times begin: a step is half of what is shown at most.
    const space = (plot, axis, min, max, width) => Math.min(90, width / 5);
    const times = (plot, splits, axis, space, step) =>
      splits.map((at) => time(at, step, plot.scales.x.max - plot.scales.x.min));
    const axis = () => ({stroke: ink("--soft"), grid: {stroke: ink("--line"), width: 1}, ticks: {show: false}});
    const series = said.names.map((name, at) => ({
      label: name, stroke: COLORS[at], width: 1.5, spanGaps: true, points: {show: said.data[0].length < 60, size: 4},
    }));
    const size = () => ({width: Math.max(place.clientWidth, 200), height: innerWidth < 600 ? 200 : 260});
    place.replaceChildren();
    const plot = new uPlot({
      ...size(),
      cursor: {drag: {x: true, y: false}},
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      axes: [{...axis(), values: times, incrs: STEPS, space}, {...axis(), size: 54}],
      series: [{label: "UTC", value: (_, at) => at == null ? "–" : new Date(Math.round(at * 1000)).toISOString().slice(0, 23).replace("T", " ").replace(".000", "")}, ...series],
    }, said.data, place);
    place.classList.add("drawn");
    plots.set(place, {plot, size});
    if (place.nextElementSibling?.classList.contains("legend")) place.nextElementSibling.hidden = true;
  }

  function drawAll(root) {
    for (const place of plots.keys()) if (!place.isConnected) { plots.get(place).plot.destroy(); plots.delete(place); }
    for (const place of root.querySelectorAll("[data-plot]:not(.drawn)")) draw(place);
  }

  function isZoomed({plot}) {
    const times = plot.data[0];
    return plot.scales.x.min > times[0] || plot.scales.x.max < times[times.length - 1];
  }

  // Whoever looks at a part of a plot, or has opened something, keeps it while the page goes on.
  let open = [];
  document.addEventListener("htmx:beforeSwap", (event) => {
    const target = event.detail.target;
    if (target.id === "answer") event.detail.shouldSwap = true;
    if (event.detail.xhr.status >= 400 && target.id !== "answer") event.detail.shouldSwap = false;
    if (target.id !== "live") return;
    if ([...plots.values()].some(isZoomed)) event.detail.shouldSwap = false;
    open = [...target.querySelectorAll("details[id]")].map((part) => [part.id, part.open]);
  });
  document.addEventListener("htmx:sseBeforeMessage", (event) => {
    if ([...plots.values()].some(isZoomed)) event.preventDefault();
  });
  for (const name of ["htmx:afterSwap", "htmx:sseMessage"]) {
    document.addEventListener(name, () => {
      for (const [id, isOpen] of open) {
        const part = document.getElementById(id);
        if (part) part.open = isOpen;
      }
      open = [];
      drawAll(document);
    });
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.id === "statement") {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
  });
  addEventListener("resize", () => {
    for (const {plot, size} of plots.values()) plot.setSize(size());
  });
  drawAll(document);
})();
