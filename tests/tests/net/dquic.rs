//! Over the DQUIC extension.

suite!(Kind::Dquic);
