//! Tells the launcher which Python its other half is built for; `handwound-python` knows.

fn main() {
    println!("cargo::rerun-if-changed=wsgi/cli/launcher/build.rs");
    for (key, name) in
        [("DEP_HANDWOUND_PYTHON_ABI", "HANDWOUND_ABI"), ("DEP_HANDWOUND_PYTHON_EXECUTABLE", "HANDWOUND_BUILT_WITH")]
    {
        let value = std::env::var(key).unwrap_or_default();
        println!("cargo::rustc-env={name}={value}");
    }
}
