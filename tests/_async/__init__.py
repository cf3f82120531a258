"""Tests of the asynchronous flavour; those of the synchronous one are generated from them."""
