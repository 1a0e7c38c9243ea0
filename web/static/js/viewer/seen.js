// Whether a scan was before its reader's eyes. Until then a press was meant for the scan before it: a second click, a
// key that was struck twice. It must not decide about a picture that nobody saw.

const SEEN_AFTER_MS = 500;
const COMES = "The picture is not here yet.";
const LOST = "The picture did not come, so nobody has seen it. Reload the page.";

// A function that tells why a verdict about this scan does not count yet, or nothing where it counts.
export function seen(root) {
  const original = root.querySelector(".original");
  let refusal = COMES;

  function here() {
    refusal = `${root.dataset.name} has only just come up.`;
    setTimeout(() => {
      refusal = "";
      root.dataset.seen = "";
    }, SEEN_AFTER_MS);
  }

  if (!original) here();
  else original.decode().then(here, () => (refusal = LOST));
  return () => refusal;
}
