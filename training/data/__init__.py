"""The data room: reading labelled radiographs, their pictures, near copies among them, and cutting them into parts."""
