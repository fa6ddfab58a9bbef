use super::*;

fn payload(layout: Layout, frames: &[(Frame, &[u8])]) -> Vec<u8> {
    short(layout, 0, frames)[HEADER_LEN..].to_vec()
}

#[test]
fn whole_packets_are_recognised_whatever_came_before() {
    let long = vec![5; 1_999];
    let cases: [&[(Frame, &[u8])]; 4] = [
        &[data(1, 0, b"x")],
        &[data(1, 0, &long)],
        &[data(1, 5_000, &long), data(2, 0, b"y")],
        &[data(0, 0, &[0; 40]), data(u32::MAX, 9, &[0; 4])],
    ];
    for frames in cases {
        for layout in [Layout::Classic, Layout::Wide] {
            let payload = payload(layout, frames);
            for before in [None, Some(Layout::Classic), Some(Layout::Wide)] {
                assert_eq!(Layout::recognise(&payload, before), layout, "{frames:?} {before:?}");
            }
        }
    }
}

#[test]
fn what_fits_both_is_classic_unless_the_other_was_seen() {
    // A wide frame whose data begin like the rest of a classic frame of no length.
    let inner = [&DATA.to_be_bytes()[..], &[0; 4], &20_u32.to_be_bytes(), &[7; 20]].concat();
    let both = payload(Layout::Wide, &[data(1, 0, &inner)]);
    assert_eq!(both.len() - 16, 16 + 20, "a second classic frame of 20 bytes");
    assert!(Layout::Classic.fits(&both) && Layout::Wide.fits(&both));
    assert_eq!(Layout::recognise(&both, None), Layout::Classic);
    assert_eq!(Layout::recognise(&both, Some(Layout::Classic)), Layout::Classic);
    assert_eq!(Layout::recognise(&both, Some(Layout::Wide)), Layout::Wide);
}

#[test]
fn damaged_packets_keep_the_layout_of_their_sender() {
    for layout in [Layout::Classic, Layout::Wide] {
        let whole = payload(layout, &[data(1, 0, &[9; 100]), data(2, 0, &[9; 100])]);
        for len in 0..whole.len() {
            let cut = &whole[..len];
            if !Layout::Classic.fits(cut) && !Layout::Wide.fits(cut) {
                assert_eq!(Layout::recognise(cut, Some(layout)), layout, "{layout:?} {len}");
            }
        }
        let cut = &whole[..whole.len() - 1];
        assert_eq!(Layout::recognise(cut, None), layout, "its frame types speak for it");
    }
}

#[test]
fn a_packet_without_frames_is_that_of_a_wide_sender() {
    assert_eq!(Layout::recognise(b"", None), Layout::Wide);
    assert_eq!(Layout::recognise(b"", Some(Layout::Classic)), Layout::Classic);
    assert!(!Layout::Wide.fits(b""), "but nothing to remember it by");
    assert_eq!(Layout::recognise(&[0xff; 7], None), Layout::Classic);
}

#[test]
fn frames_of_unknown_types_are_read_by_their_length() {
    let (mut frame, bytes) = data(1, 0, b"abcdef");
    frame.frame_type = 77;
    for layout in [Layout::Classic, Layout::Wide] {
        assert_eq!(Layout::recognise(&payload(layout, &[(frame, bytes)]), None), layout);
    }
}
