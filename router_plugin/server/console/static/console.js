// Draws the charts of a page: elements of the class `chart` whose data-chart is {x, series: [{label, values}], unit, x_label}.
// With x_label, x are whole numbers of that instead of seconds since 1970.
"use strict";

const COLOURS = ["#2b6cb0", "#c05621", "#2f855a", "#805ad5", "#b83280", "#718096", "#b7791f", "#2c7a7b", "#c53030", "#4a5568"];

const WHOLE = [1, 2, 5].flatMap((each) => [0, 1, 2, 3, 4, 5, 6].map((power) => each * 10 ** power)).sort((a, b) => a - b);

let opened = [];

function inkOf(name) {
  return getComputedStyle(document.body).getPropertyValue(`--${name}`).trim();
}

function draw(element) {
  const chart = JSON.parse(element.dataset.chart);
  const axis = { stroke: inkOf("soft"), grid: { stroke: inkOf("rule") }, ticks: { stroke: inkOf("rule") } };
  const series = chart.series.map((each, number) => ({
    label: each.label,
    stroke: COLOURS[number % COLOURS.length],
    width: 2,
    points: { show: chart.x.length < 60, size: 4 },
  }));
  const options = {
    width: Math.max(240, element.clientWidth || 600),
    height: 220,
    scales: { x: { time: !chart.x_label } },
    series: [chart.x_label ? { label: chart.x_label } : {}, ...series],
    axes: [chart.x_label ? { ...axis, incrs: WHOLE } : axis, { ...axis, size: 56, label: chart.unit, labelSize: 18 }],
    cursor: { drag: { x: false, y: false } },
  };
  element.replaceChildren();
  element.plot = new uPlot(options, [chart.x, ...chart.series.map((each) => each.values)], element);
}

// htmx says this of the body, and later of all that it puts in, which the target of a swap no longer is.
document.addEventListener("htmx:load", (event) => {
  event.detail.elt.querySelectorAll(".chart[data-chart]").forEach(draw);
  opened.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
});
document.addEventListener("htmx:beforeSwap", (event) => {
  opened = [...event.detail.target.querySelectorAll("details[open][id]")].map((each) => each.id);
});
window.addEventListener("resize", () => {
  document.querySelectorAll(".chart").forEach((each) => {
    if (each.plot) each.plot.setSize({ width: Math.max(240, each.clientWidth), height: 220 });
  });
});
