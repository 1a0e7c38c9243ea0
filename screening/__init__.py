"""The shared core of the bone-fracture batch-screening system.

Glossary (these words, no synonyms, in code, pages and documents):

scan             one radiograph, known by the SHA-256 of its bytes
study            the scans of one visit
run              scans submitted to be screened together (an upload, a watched folder, a nightly re-screening)
job              one scan to be screened by one checkpoint for one run; one row, the ledger of work
batch            the minibatch that goes through the network, never an upload
lane             how urgent a run is: urgent, routine, archive
rendition        the small 8-bit grey picture, made once from the original, that the network sees
display image    the larger 8-bit grey picture that a reader looks at, without any identity
checkpoint       weights, rendition and input spec, operating points, the figures they were measured with, identity
operating point  a threshold chosen for a target sensitivity
likely threshold a second threshold, never below the operating point, chosen for a target specificity
flagged          a scan whose probability is at or over the operating point
band             must look (no probability), likely (at or over the likely threshold), possible (flagged, under the
                 likely threshold), not flagged
worklist         scans ranked for follow-up
receipt          what became of one submitted file: accepted, duplicate or rejected, and why
container        a zip or tar file that holds files to be submitted
schedule         when the archive is screened again, and by which checkpoint
firing           one time that a schedule was due
window           from a firing until its end time; a run over the archive pauses outside it
candidate        the checkpoint that schedules try; its results stay out of the worklist until it is activated
archive          a folder or bucket that is visited again and again
review           what a reader decided about a scan
sample           scans that are not flagged and are read all the same, so that sensitivity can be measured in use
hold             a reader has a scan open, so that others leave it alone for a while
"""
