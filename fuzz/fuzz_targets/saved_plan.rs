#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rprov_fuzz::saved_plan::one(data));
