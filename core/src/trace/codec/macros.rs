//! How structs and enums are written and read, field by field. A field or variant that is
//! forgotten is a compile error.

/// A struct: its fields, one after the other.
macro_rules! record {
    ($type:ident { $($field:tt),* }) => {
        impl Field for $type {
            fn put(&self, to: &mut Writer) {
                let $type { $($field),* } = self;
                $($field.put(to);)*
            }

            fn get(from: &mut Source<'_>) -> Get<Self> {
                Ok($type { $($field: Field::get(from)?),* })
            }
        }
    };
}

/// A struct of one unnamed field: as that field.
macro_rules! wrapper {
    ($($type:ident),*) => { $(
        impl Field for $type {
            fn put(&self, to: &mut Writer) {
                self.0.put(to);
            }

            fn get(from: &mut Source<'_>) -> Get<Self> {
                Field::get(from).map(Self)
            }
        }
    )* };
}

/// An enum: the number of the variant, then its fields.
macro_rules! choice {
    ($($type:ident)::+ { $(
        $number:literal $variant:ident $(($($inner:ident),*))? $({$($field:ident),*})?
    ),* $(,)? }) => {
        impl Field for $($type)::+ {
            fn put(&self, to: &mut Writer) {
                match self { $(
                    Self::$variant $(($($inner),*))? $({$($field),*})? => {
                        to.number($number);
                        $($($inner.put(to);)*)?
                        $($($field.put(to);)*)?
                    }
                )* }
            }

            fn get(from: &mut Source<'_>) -> Get<Self> {
                match from.number()? {
                    $($number => {
                        $($(let $inner = Field::get(from)?;)*)?
                        $($(let $field = Field::get(from)?;)*)?
                        Ok(Self::$variant $(($($inner),*))? $({$($field),*})?)
                    })*
                    _ => Err(concat!("unknown variant of ", stringify!($($type)::+))),
                }
            }
        }
    };
}

pub(super) use {choice, record, wrapper};
