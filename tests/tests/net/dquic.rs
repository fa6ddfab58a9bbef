//! Over the DQUIC extension.

suite!(Kind::Dquic);

mod seam_a;
