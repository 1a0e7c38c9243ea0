// A person who follows the link is let in at once; a program that only looks ahead at links runs no script.

document.querySelector("form[data-send]").requestSubmit();
