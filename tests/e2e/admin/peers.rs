//! Programs that others wrote read the pages.
