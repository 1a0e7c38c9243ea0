"""Tests of decoding; a package, so that its sample files can be imported."""
