//! Frames survive the wire, and nothing else is a frame.
