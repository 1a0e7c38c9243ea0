"""From bytes to pixels to the rendition that the network sees."""
