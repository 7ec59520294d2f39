// What is there, as a plain list.
const main = document.querySelector("main");
function add(name, text) {
  main.append(Object.assign(document.createElement(name), { textContent: text }));
}
const answer = await fetch("api/v1/pages");
const { machines = [], error } = await answer.json();
if (error) add("p", error);
for (const { name, pages, error } of machines) {
  add("h2", name);
  add("p", error ?? pages.status?.answer ?? pages.generated);
  for (const clause of pages?.attention ?? []) add("p", clause);
}
