/** The forms of accounts, each for one thing. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useApp } from "../../app";
import type { NewAccount } from "../../wire";
import { Field, Form } from "./Form";

const PASSWORD_HINT = "Twelve characters or more. Four words chosen by chance are good.";

export function SignInForm(): JSX.Element {
  const { account } = useApp();
  return (
    <Form action="Sign in" onSend={({ username = "", password = "" }) => account.signIn(username, password)}>
      <Field name="username" label="Name" autocomplete="username" maxLength={64} />
      <Field name="password" label="Password" type="password" autocomplete="current-password" />
    </Form>
  );
}

export function FirstAdminForm(): JSX.Element {
  const { account } = useApp();
  return (
    <Form action="Create the account" onSend={(values) => account.createFirst(accountOf(values))}>
      <NewAccountFields />
    </Form>
  );
}

export function RegisterForm(): JSX.Element {
  const { account } = useApp();
  const isPending = useSignal(false);
  if (isPending.value) {
    return <p role="status">Your account waits for an administrator to approve it. Then sign in here.</p>;
  }
  return (
    <Form
      action="Register"
      onSend={async (values) => void (isPending.value = !(await account.register(accountOf(values))))}
    >
      <NewAccountFields />
    </Form>
  );
}

export function PasswordForm({ onDone }: { readonly onDone?: () => void }): JSX.Element {
  const { account } = useApp();
  return (
    <Form
      action="Change the password"
      onSend={async ({ current = "", next = "" }) => {
        await account.changePassword(current, next);
        onDone?.();
      }}
    >
      <Field name="current" label="Password until now" type="password" autocomplete="current-password" />
      <Field name="next" label="New password" type="password" autocomplete="new-password" hint={PASSWORD_HINT} />
    </Form>
  );
}

function NewAccountFields(): JSX.Element {
  return (
    <>
      <Field name="username" label="Name" autocomplete="username" maxLength={64} />
      <Field name="password" label="Password" type="password" autocomplete="new-password" hint={PASSWORD_HINT} />
    </>
  );
}

function accountOf({ username = "", password = "" }: Readonly<Record<string, string>>): NewAccount {
  return { username, password };
}
