//! Looking at files in a container through the archive that the engine hands out: no program runs in it, and it need not run itself.

use std::collections::BTreeMap;
use std::io::Read as _;

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::StreamExt as _;

use super::{RealDocker, error, names, within};
use crate::world::{FoundFiles, PortResult};

/// More of one file is not read.
const LARGEST: u64 = 1024 * 1024;

pub(super) async fn find(docker: &RealDocker, container: &str, folder: &str, ending: &str, limit: u64) -> PortResult<FoundFiles> {
    let name = names::container(container)?;
    let what = format!("reading `{folder}` in container `{name}`");
    let options = DownloadFromContainerOptionsBuilder::default().path(folder).build();
    let mut stream = std::pin::pin!(docker.client().await?.download_from_container(name, Some(options)));
    let (mut bytes, mut whole) = (Vec::new(), true);
    while let Some(item) = within(docker.patience.call, stream.next(), &what).await? {
        bytes.extend_from_slice(&item.map_err(|error| error::map(error, &what))?);
        if bytes.len() as u64 > limit {
            whole = false;
            break;
        }
    }
    let (files, read) = pick(&bytes, ending);
    Ok(FoundFiles { files, whole: whole && read })
}

/// The files of an archive, without the folder that all are in, and whether it could be read to its end.
fn pick(bytes: &[u8], ending: &str) -> (BTreeMap<String, Vec<u8>>, bool) {
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(bytes);
    let Ok(entries) = archive.entries() else { return (files, false) };
    for entry in entries {
        let Ok(mut entry) = entry else { return (files, false) };
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path.split_once('/').map_or(path.as_str(), |(_, path)| path);
        let wanted = path.strip_suffix(ending).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'));
        if !wanted || !entry.header().entry_type().is_file() {
            continue;
        }
        let mut content = Vec::new();
        if entry.by_ref().take(LARGEST).read_to_end(&mut content).is_err() {
            return (files, false);
        }
        files.insert(path.to_owned(), content);
    }
    (files, true)
}
