// Remembers the order of the list, so that the viewer can go to the next scan and back.

const links = [...document.querySelectorAll("#work a.open")].map((link) => link.getAttribute("href"));
const more = document.querySelector('a[rel="next"]')?.getAttribute("href") ?? null;
sessionStorage.setItem("worklist", JSON.stringify({ links, back: location.pathname + location.search, more }));
