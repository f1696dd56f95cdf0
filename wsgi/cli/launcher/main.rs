//! x
fn main() {
    let lib = unsafe { libloading::Library::new(std::env::args().nth(1).unwrap()).unwrap() };
    let f: libloading::Symbol<'_, extern "C" fn() -> i32> = unsafe { lib.get(b"handwound_main").unwrap() };
    println!("{}", f());
}
