//! What `#[manyhands::task]` makes of a function.
//!
//! Of `fn area(w: u32, h: u32) -> u64` it makes, besides it, a type of the same name (types and functions
//! have names of their own, so both can be there and are imported together), for `area::task(3, 4)`; an
//! entry in the list of all tasks; and something that compiles only if the types can be sent.
//!
//! All that it needs names for it has in that type, or they are hygienic: functions, their arguments and
//! types may be called anything.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit::{Visit, visit_type};
use syn::{Error, FnArg, ItemFn, Pat, Result, ReturnType, Safety, Signature, Type, parse2};

pub(crate) fn expand(arguments: &TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(arguments, "#[manyhands::task] has no arguments"));
    }
    let function: ItemFn = parse2(item)?;
    refuse(&function.sig)?;
    let inputs = inputs(&function.sig)?;
    let (names, types): (Vec<_>, Vec<_>) = inputs.into_iter().unzip();
    let result = match &function.sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, kind) => {
            refuse_type(kind, "result")?;
            quote!(#kind)
        }
    };
    let spans = types.iter().map(|kind| kind.span()).chain([function.sig.output.span()]);
    let all = types.iter().map(|kind| quote!(#kind)).chain([result.clone()]);
    let checks = spans
        .zip(all)
        .map(|(span, kind)| quote_spanned!(span=> ::manyhands::__private::can_be_sent::<#kind>();));
    let (visibility, name) = (&function.vis, &function.sig.ident);
    let documentation = format!("A call of [`{name}`](fn@{name}), for a pool.");
    let hygienic = |index| format_ident!("argument{}", index, span = Span::mixed_site());
    let values: Vec<Ident> = (0..names.len()).map(hygienic).collect();
    let [bytes, buffer] =
        ["bytes", "buffer"].map(|variable| Ident::new(variable, Span::mixed_site()));
    // What is made of a function is there when that is.
    let conditions: Vec<_> =
        function.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg")).collect();
    Ok(quote! {
        #function

        #(#conditions)*
        #[doc(hidden)]
        #[allow(non_camel_case_types, reason = "named as the function is")]
        #visibility enum #name {}

        #(#conditions)*
        #[allow(dead_code, clippy::too_many_arguments, reason = "as the function is")]
        impl #name {
            #[doc = #documentation]
            #visibility fn task(#(#names: #types),*) -> ::manyhands::pool::Call<#result> {
                ::manyhands::pool::Call::new(Self::__NAME, (#(#names,)*), Self::__apply)
            }

            const __NAME: &str = ::core::concat!(
                ::core::module_path!(), "::", ::core::stringify!(#name)
            );

            fn __apply((#(#values,)*): (#(#types,)*)) -> #result {
                #name(#(#values),*)
            }

            fn __check() {
                #(#checks)*
            }
        }

        #(#conditions)*
        ::manyhands::__private::submit! {
            ::manyhands::__private::Definition::new(#name::__NAME, |#bytes, #buffer| {
                ::manyhands::__private::run(#bytes, #buffer, #name::__apply)
            })
        }
    })
}

/// Functions that cannot be found by their names, or have no result when they return.
fn refuse(signature: &Signature) -> Result<()> {
    let refuse = |span: Span, text: &str| Err(Error::new(span, text));
    if let Some(asyncness) = &signature.asyncness {
        return refuse(
            asyncness.span(),
            "an async function cannot be a task: what it returns is not a result yet; make a task of a \
             function that runs it to its end",
        );
    }
    if !signature.generics.params.is_empty() || signature.generics.where_clause.is_some() {
        return refuse(
            signature.generics.span(),
            "a generic function cannot be a task: a worker finds it by its name alone; make a task of a \
             function for each type",
        );
    }
    if let Safety::Unsafe(token) = &signature.safety {
        return refuse(
            token.span(),
            "an unsafe function cannot be a task: nobody vouches for the call",
        );
    }
    if let Some(abi) = &signature.abi {
        return refuse(abi.span(), "a task is a function of Rust's own");
    }
    if let Some(variadic) = &signature.variadic {
        return refuse(variadic.span(), "a task has as many arguments as it says");
    }
    Ok(())
}

/// The arguments: as they are called, or by numbers where they are taken apart, and their types.
fn inputs(signature: &Signature) -> Result<Vec<(Ident, &Type)>> {
    let inputs = signature.inputs.iter().enumerate().map(|(index, input)| match input {
        FnArg::Receiver(receiver) => Err(Error::new_spanned(
            receiver,
            "a method cannot be a task: make one of a function whose first argument is the object",
        )),
        FnArg::Typed(input) => {
            refuse_type(&input.ty, "argument")?;
            let name = match &*input.pat {
                Pat::Ident(pattern) if pattern.subpat.is_none() => pattern.ident.clone(),
                _ => format_ident!("argument{}", index),
            };
            Ok((name, &*input.ty))
        }
    });
    inputs.collect()
}

/// Types of which it is clear, without knowing what they are, that they cannot be sent.
fn refuse_type(kind: &Type, what: &'static str) -> Result<()> {
    let mut refusal = Refusal { what, error: None };
    refusal.visit_type(kind);
    refusal.error.map_or(Ok(()), Err)
}

struct Refusal {
    what: &'static str,
    error: Option<Error>,
}

impl<'ast> Visit<'ast> for Refusal {
    fn visit_type(&mut self, kind: &'ast Type) {
        let what = self.what;
        let text = match kind {
            Type::Reference(_) => format!(
                "the {what} of a task goes to another process, where there is nothing to refer to: use \
                 a type that owns what it holds (String for &str, Vec<T> for &[T])"
            ),
            Type::ImplTrait(_) => {
                format!("the {what} of a task goes to another process: name its type")
            }
            Type::Never(_) => format!("a task that never returns has no {what}"),
            _ => return visit_type(self, kind),
        };
        self.error.get_or_insert_with(|| Error::new_spanned(kind, text));
    }
}
