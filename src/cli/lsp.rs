//! `formula lsp`: the language server. Speaks the protocol; what it says comes from `editor`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tower_lsp_server::jsonrpc::{Error, Result};
use tower_lsp_server::ls_types::{
    CompletionItem, CompletionItemKind, CompletionOptions, CompletionParams, CompletionResponse, CompletionTextEdit, Diagnostic,
    DiagnosticRelatedInformation, DiagnosticSeverity, DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams,
    DocumentFormattingParams, Documentation, GotoDefinitionParams, GotoDefinitionResponse, Hover, HoverContents, HoverParams,
    HoverProviderCapability, InitializeParams, InitializeResult, Location, MarkupContent, MarkupKind, NumberOrString, OneOf, Position,
    PositionEncodingKind, Range, ServerCapabilities, ServerInfo, TextDocumentPositionParams, TextDocumentSyncCapability,
    TextDocumentSyncKind, TextEdit, Uri,
};
use tower_lsp_server::{Client, LanguageServer, LspService, Server};

use super::app::{App, VERSION};
use super::failure::Outcome;
use crate::diagnostic::Severity;
use crate::editor::{self, Document, Known, Suggestion, What};
use crate::format::{Refused, format};
use crate::syntax::Options;

/// Speaks the Language Server Protocol with an editor, over standard input and output.
///
/// Problems as you type, completion of keys, kinds, params, steps, vars and outputs, docs on hover, go to definition, formatting. Editors
/// start it; docs/guide/editors.md says how to tell them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Accepted since many editors pass it; nothing else is spoken.
    #[arg(long, hide = true)]
    pub stdio: bool,
}

/// Serves until the editor says that it is over.
pub fn lsp(app: &App, _args: &Args) -> Outcome {
    let runtime = app.runtime()?;
    let ended = Arc::new(AtomicBool::new(false));
    runtime.block_on(async {
        let (service, socket) =
            LspService::new(|client| Backend { client, open: Arc::default(), known: Arc::default(), ended: ended.clone() });
        // One message after the other: a change must be in before what asks about it.
        Server::new(tokio::io::stdin(), tokio::io::stdout(), socket).concurrency_level(1).serve(service).await;
    });
    // Somebody may still be reading standard input.
    runtime.shutdown_background();
    Ok(u8::from(!ended.load(Ordering::Relaxed)))
}

/// A file that is open, in one version.
struct Open {
    document: Document,
    version: i32,
}

type Files = Arc<Mutex<HashMap<Uri, Arc<Open>>>>;

struct Backend {
    client: Client,
    open: Files,
    known: Arc<Known>,
    /// Whether the editor asked for the end.
    ended: Arc<AtomicBool>,
}

fn locked(files: &Files) -> MutexGuard<'_, HashMap<Uri, Arc<Open>>> {
    // Nothing panics while it is held, and a map is whole at any time.
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_current(files: &Files, uri: &Uri, open: &Arc<Open>) -> bool {
    locked(files).get(uri).is_some_and(|current| Arc::ptr_eq(current, open))
}

impl Backend {
    /// The file, if it is a formula.
    fn formula(&self, uri: &Uri) -> Option<Arc<Open>> {
        locked(&self.open).get(uri).filter(|open| open.document.is_formula()).cloned()
    }

    fn at(&self, place: &TextDocumentPositionParams) -> Option<(Arc<Open>, usize)> {
        let open = self.formula(&place.text_document.uri)?;
        let offset = open.document.offset(theirs(place.position));
        Some((open, offset))
    }

    /// Takes a new text, and has it checked beside whatever else is asked.
    fn take(&self, uri: Uri, text: String, version: i32) {
        let path = uri.to_file_path().map_or_else(|| PathBuf::from(uri.as_str()), std::borrow::Cow::into_owned);
        let open = Arc::new(Open { document: Document::new(path, text), version });
        locked(&self.open).insert(uri.clone(), open.clone());
        let (client, files, known) = (self.client.clone(), self.open.clone(), self.known.clone());
        tokio::spawn(async move {
            let (checked, others, which) = (open.clone(), files.clone(), uri.clone());
            let check = move || {
                // Somebody who types fast is told of the last text only.
                is_current(&others, &which, &checked).then(|| problems(&which, &checked.document, &known))
            };
            if let Ok(Some(found)) = tokio::task::spawn_blocking(check).await
                && is_current(&files, &uri, &open)
            {
                client.publish_diagnostics(uri, found, Some(open.version)).await;
            }
        });
    }
}

impl LanguageServer for Backend {
    async fn initialize(&self, _: InitializeParams) -> Result<InitializeResult> {
        let triggers = ["\"", "'", ".", "{", "[", "="].map(str::to_owned).to_vec();
        Ok(InitializeResult {
            capabilities: ServerCapabilities {
                position_encoding: Some(PositionEncodingKind::UTF16),
                text_document_sync: Some(TextDocumentSyncCapability::Kind(TextDocumentSyncKind::INCREMENTAL)),
                completion_provider: Some(CompletionOptions { trigger_characters: Some(triggers), ..CompletionOptions::default() }),
                hover_provider: Some(HoverProviderCapability::Simple(true)),
                definition_provider: Some(OneOf::Left(true)),
                document_formatting_provider: Some(OneOf::Left(true)),
                ..ServerCapabilities::default()
            },
            server_info: Some(ServerInfo { name: "formula".into(), version: Some(VERSION.into()) }),
            ..InitializeResult::default()
        })
    }

    async fn shutdown(&self) -> Result<()> {
        self.ended.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        let file = params.text_document;
        self.take(file.uri, file.text, file.version);
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        let uri = params.text_document.uri;
        let Some(before) = locked(&self.open).get(&uri).cloned() else { return };
        let path = before.document.source.path.clone();
        let mut text = before.document.text().to_owned();
        for change in params.content_changes {
            match change.range {
                None => text = change.text,
                Some(range) => {
                    let document = Document::new(path.clone(), std::mem::take(&mut text));
                    let (start, end) = (document.offset(theirs(range.start)), document.offset(theirs(range.end)));
                    text = document.source.text;
                    text.replace_range(start..end.max(start), &change.text);
                }
            }
        }
        self.take(uri, text, params.text_document.version);
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        let uri = params.text_document.uri;
        locked(&self.open).remove(&uri);
        self.client.publish_diagnostics(uri, Vec::new(), None).await;
    }

    async fn completion(&self, params: CompletionParams) -> Result<Option<CompletionResponse>> {
        let Some((open, offset)) = self.at(&params.text_document_position) else { return Ok(None) };
        let found = open.document.complete(&self.known, offset);
        let items = found.into_iter().enumerate().map(|(at, suggestion)| item(&open.document, at, suggestion)).collect();
        Ok(Some(CompletionResponse::Array(items)))
    }

    async fn hover(&self, params: HoverParams) -> Result<Option<Hover>> {
        let Some((open, offset)) = self.at(&params.text_document_position_params) else { return Ok(None) };
        Ok(open
            .document
            .hover(&self.known, offset)
            .map(|told| Hover { contents: HoverContents::Markup(markdown(told.text)), range: Some(ours(&open.document, &told.range)) }))
    }

    async fn goto_definition(&self, params: GotoDefinitionParams) -> Result<Option<GotoDefinitionResponse>> {
        let place = params.text_document_position_params;
        let Some((open, offset)) = self.at(&place) else { return Ok(None) };
        let found = open.document.definition(offset);
        let location = |range| Location { uri: place.text_document.uri, range: ours(&open.document, &range) };
        Ok(found.map(|range| GotoDefinitionResponse::Scalar(location(range))))
    }

    async fn formatting(&self, params: DocumentFormattingParams) -> Result<Option<Vec<TextEdit>>> {
        let Some(open) = self.formula(&params.text_document.uri) else { return Ok(None) };
        match format(&open.document.source, Options::default()) {
            Ok(text) if text == open.document.text() => Ok(Some(Vec::new())),
            Ok(text) => Ok(Some(vec![TextEdit { range: ours(&open.document, &(0..open.document.text().len())), new_text: text }])),
            // Its problems are shown already.
            Err(Refused::NotToml(_)) => Ok(None),
            Err(Refused::Changed) => Err(Error::internal_error()),
        }
    }
}

fn problems(uri: &Uri, document: &Document, known: &Known) -> Vec<Diagnostic> {
    if !document.is_formula() {
        return Vec::new();
    }
    let one = |problem: &crate::diagnostic::Diagnostic| {
        let (range, label) = problem.primary.as_ref().map_or((0..0, ""), |label| (label.range.clone(), label.text.as_str()));
        let mut message = problem.message.clone();
        for more in [label, problem.help.as_deref().unwrap_or_default()].iter().filter(|more| !more.is_empty()) {
            message.push('\n');
            message.push_str(more);
        }
        let related = problem.secondary.iter().map(|label| DiagnosticRelatedInformation {
            location: Location { uri: uri.clone(), range: ours(document, &label.range) },
            message: label.text.clone(),
        });
        Diagnostic {
            range: ours(document, &range),
            severity: Some(match problem.severity {
                Severity::Error => DiagnosticSeverity::ERROR,
                Severity::Warning => DiagnosticSeverity::WARNING,
                Severity::Note => DiagnosticSeverity::INFORMATION,
            }),
            code: Some(NumberOrString::String(problem.code.to_owned())),
            source: Some("formula".to_owned()),
            message,
            related_information: Some(related.collect::<Vec<_>>()).filter(|related| !related.is_empty()),
            ..Diagnostic::default()
        }
    };
    document.problems(&known.kinds).iter().map(one).collect()
}

fn item(document: &Document, at: usize, suggestion: Suggestion) -> CompletionItem {
    let edit = TextEdit { range: ours(document, &suggestion.replace), new_text: suggestion.insert };
    CompletionItem {
        kind: Some(match suggestion.what {
            What::Key => CompletionItemKind::FIELD,
            What::Kind => CompletionItemKind::MODULE,
            What::Step => CompletionItemKind::REFERENCE,
            What::Value => CompletionItemKind::VALUE,
            What::Helper => CompletionItemKind::FUNCTION,
        }),
        detail: Some(suggestion.detail).filter(|detail| !detail.is_empty()),
        documentation: Some(suggestion.doc).filter(|doc| !doc.is_empty()).map(|doc| Documentation::MarkupContent(markdown(doc))),
        sort_text: Some(format!("{at:06}")),
        text_edit: Some(CompletionTextEdit::Edit(edit)),
        label: suggestion.label,
        ..CompletionItem::default()
    }
}

fn markdown(value: String) -> MarkupContent {
    MarkupContent { kind: MarkupKind::Markdown, value }
}

fn theirs(position: Position) -> editor::Position {
    editor::Position { line: position.line, column: position.character }
}

fn ours(document: &Document, range: &std::ops::Range<usize>) -> Range {
    let place = |offset| {
        let position = document.position(offset);
        Position { line: position.line, character: position.column }
    };
    Range { start: place(range.start), end: place(range.end) }
}
