// What a click on the badge opens: who is there, who runs other code, how to invite, how far the synchronizer is.

import type { JSX } from "preact";

import { Copy } from "./Copy.tsx";
import type { Difference, Invitation } from "./messages.ts";
import type { Other, Person, PresenceTraits } from "./traits.ts";

export interface BadgeDetailsProps {
  readonly id: string;
  readonly badge: PresenceTraits;
  readonly invitation: Invitation | undefined;
  readonly difference: Difference | undefined;
  readonly onInvite: (withPassword: boolean) => void;
  readonly onDifference: (viewId: string) => void;
}

export function BadgeDetails(props: BadgeDetailsProps): JSX.Element {
  const { id, badge, invitation, difference, onInvite, onDifference } = props;
  const { others, synchronizer, latency_ms } = badge;
  return (
    <div class="msq-badge-details" id={id} role="region" aria-label={`Details of ${badge.name}`} data-testid="msq-details">
      <section>
        <h3>People</h3>
        <ul data-testid="msq-details-people">
          {badge.people.map((person: Person) => (
            <li key={person.view_id}>
              {person.label}
              {person.is_me && " (you)"}
            </li>
          ))}
          {others.map((other: Other) => (
            <li key={other.view_id}>
              {other.label}: {other.differs_in}{" "}
              {other.differs_in !== "other options" && (
                <button
                  type="button"
                  data-testid="msq-show-difference"
                  onClick={() => {
                    onDifference(other.view_id);
                  }}
                >
                  Show the difference
                </button>
              )}
            </li>
          ))}
        </ul>
        {difference !== undefined && <DifferenceView difference={difference} />}
      </section>
      <section>
        <h3>Invite</h3>
        <div class="msq-badge-actions">
          <button
            type="button"
            data-testid="msq-invite"
            onClick={() => {
              onInvite(false);
            }}
          >
            Show how to join
          </button>
          <button
            type="button"
            data-testid="msq-invite-with-password"
            onClick={() => {
              onInvite(true);
            }}
          >
            … with the password
          </button>
        </div>
        {invitation !== undefined && <InvitationView invitation={invitation} />}
      </section>
      <section>
        <h3>Synchronizer</h3>
        <p data-testid="msq-synchronizer">
          {synchronizer}
          {latency_ms >= 0 ? ` · ${latency_ms} ms` : ""}
        </p>
      </section>
    </div>
  );
}

function InvitationView({ invitation }: { readonly invitation: Invitation }): JSX.Element {
  const { line, link, qr, remark } = invitation;
  return (
    <div class="msq-badge-invitation" data-testid="msq-invitation">
      <div class="msq-badge-invitation-text">
        {line !== "" && <code aria-label="Line to paste">{line}</code>}
        {link !== "" && (
          <a href={link} target="_blank" rel="noreferrer">
            {link}
          </a>
        )}
        <div class="msq-badge-actions">
          {line !== "" && (
            <Copy testId="msq-copy-line" text={line}>
              Copy the line
            </Copy>
          )}
          {link !== "" && (
            <Copy testId="msq-copy-link" text={link}>
              Copy the link
            </Copy>
          )}
        </div>
        <p>{remark}</p>
      </div>
      {qr !== "" && <img src={`data:image/svg+xml,${encodeURIComponent(qr)}`} alt="The link as a QR code" />}
    </div>
  );
}

const LINE_CLASSES: Readonly<Record<string, string>> = {
  "+": "msq-badge-added",
  "-": "msq-badge-removed",
  "@": "msq-badge-place",
};

function DifferenceView({ difference }: { readonly difference: Difference }): JSX.Element {
  const { title, lines } = difference;
  return (
    <div data-testid="msq-difference">
      <p>{title}</p>
      {lines.length > 0 && (
        <pre aria-label="How your code becomes theirs">
          {lines.map((line, index) => (
            // oxlint-disable-next-line react/no-array-index-key -- a line of a difference has no other identity
            <span key={index} class={LINE_CLASSES[line.charAt(0)]}>
              {line}
              {"\n"}
            </span>
          ))}
        </pre>
      )}
    </div>
  );
}
