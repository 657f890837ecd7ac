// Shows this page's own address in the commands, so that they can be pasted as they stand.
for (const place of document.querySelectorAll("[data-origin]")) {
  place.textContent = location.origin;
}
