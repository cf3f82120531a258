"""The browser agent: reads pages as accessibility trees, understands instructions in English, and drives the page."""
