/** Who one is here: sign in, the first account, keys, the password, sign out. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useApp } from "../../app";
import type { Me } from "../../wire";
import { Dialog } from "../Dialog";
import { FirstAdminForm, PasswordForm, RegisterForm, SignInForm } from "./forms";
import { Keys } from "./Keys";
import { Usage } from "./Usage";

export function AccountDialog(): JSX.Element {
  const session = useApp().account.session.value;
  const user = session?.user ?? null;
  if (user !== null) return <SignedIn user={user} />;
  return session?.has_admin === false ? <FirstAdmin /> : <SignedOut />;
}

function FirstAdmin(): JSX.Element {
  return (
    <Dialog label="The first account" class="account">
      <p>
        On this machine everything works without an account. With one, you can give programs keys, let others sign
        in, and open the server to your network.
      </p>
      <FirstAdminForm />
      <p class="quiet">It will be an administrator’s. The password is kept as a hash and never shown.</p>
    </Dialog>
  );
}

function SignedOut(): JSX.Element {
  const mayRegister = useApp().account.session.value?.registration !== "closed";
  const isRegistering = useSignal(false);
  return (
    <Dialog label={isRegistering.value ? "Make an account" : "Sign in"} class="account">
      {isRegistering.value ? <RegisterForm /> : <SignInForm />}
      {mayRegister && !isRegistering.value && (
        <button type="button" class="button plain" onClick={() => (isRegistering.value = true)}>
          Make an account
        </button>
      )}
    </Dialog>
  );
}

function SignedIn({ user }: { readonly user: Me }): JSX.Element {
  const { account, screen } = useApp();
  const isChanging = useSignal(false);

  async function signOut(): Promise<void> {
    await account.signOut();
    screen.dialog.value = null;
  }

  return (
    <Dialog label="Account" class="account">
      <p class="account-name">
        <strong>{user.username}</strong>
        <span class="quiet">{user.role === "admin" ? "administrator" : "user"}</span>
      </p>
      <Usage />
      <Keys />
      {isChanging.value && <PasswordForm onDone={() => (isChanging.value = false)} />}
      <footer class="account-foot">
        {!isChanging.value && (
          <button type="button" class="button plain" onClick={() => (isChanging.value = true)}>
            Change the password
          </button>
        )}
        <button type="button" class="button outlined" onClick={() => void signOut()}>
          Sign out
        </button>
      </footer>
    </Dialog>
  );
}
